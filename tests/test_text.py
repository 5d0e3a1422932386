"Texts: the pack keeps its ceilings, bad input is refused in words, a model answers the same from its bundle, and what it looks at can be read"
import json, subprocess, sys

import fastai.callback.progress # gives Learner its no_bar
import numpy as np
import pandas as pd
import pytest
from fastai.text.data import TextDataLoaders
from fastai.text.learner import language_model_learner, text_classifier_learner
from fastai.text.models.awdlstm import AWD_LSTM, awd_lstm_clas_config, awd_lstm_lm_config

from fastclass.engine.base.bundle_files import TEXT
from fastclass.engine.base.errors import BundleError, DataError, UnsupportedError
from fastclass.engine.packs.packs import pack
from fastclass.engine.packs.reviews import deciding_sentences, draw_reviews, review_probability
from fastclass.engine.text.bag import BagOfWords
from fastclass.engine.text.texts import is_garbled, why_no_text
from fastclass.engine.text.tokens import Reader, units
from fastclass.text import (check_texts, compare_texts, fit_tfidf, has_language_model, load_text, quick_text, save_text,
    split_texts, stress_texts, telling_words, text_dls, text_report, word_effects, words_of)

pytestmark = pytest.mark.usefixtures('one_thread')
SMALL = dict(emb_sz=20, n_hid=24, n_layers=2)


@pytest.fixture(scope='module')
def reviews(): return draw_reviews(900)[0]


@pytest.fixture(scope='module')
def dls(reviews): return text_dls(reviews, bs=32)


@pytest.fixture(scope='module')
def model(dls): return quick_text(dls)


@pytest.fixture(scope='module')
def held(reviews, dls): return reviews.iloc[dls.valid_ds.items.index]


# ---- the pack

def n_gram_accuracy(df, n, rows):
    "Logistic regression on runs of up to `n` words, trained on the first `rows` reviews"
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    reader = CountVectorizer(binary=True, token_pattern=r'(?u)\w+|[^\w\s]', ngram_range=(1, n), min_df=2)
    pipe = make_pipeline(reader, LogisticRegression(C=1, max_iter=300)).fit(df.text[:rows], df.label[:rows])
    return pipe.score(df.text[rows:], df.label[rows:])


def test_words_neighbours_and_order_have_the_ceilings_of_the_docstring():
    df,known = draw_reviews(12_000, seed=3)
    words,pairs,order = (known[f'{o}_accuracy'] for o in ('words', 'pairs', 'order'))
    for o in (words, pairs, order): assert f'{o:.3g}' in draw_reviews.__doc__
    for n,ceiling in ((1, words), (2, pairs), (3, order)):
        measured = n_gram_accuracy(df, n, 9000)
        assert ceiling-.03 < measured < ceiling+4*np.sqrt(.25/3000), (n, measured, ceiling)
    p = review_probability(df.text)
    positive = (df.label=='positive').to_numpy()
    assert np.where(p==.5, .5, p==positive).mean()==pytest.approx(known['order_accuracy_here'], abs=1e-9)
    assert abs(positive[p==.5].mean()-.5)<4*np.sqrt(.25/(p==.5).sum())


def test_no_bag_of_words_can_tell_the_sides_of_an_order_review():
    for kind in ('near', 'far'):
        bad,good = ({tuple(sorted(o.lower().replace(',', ' ,').replace('.', ' .').split())) for o in side} for side in deciding_sentences()[kind])
        assert bad==good


def test_the_pack_holds_what_it_says(tmp_path):
    root = pack('reviews', root=tmp_path, reviews=200)
    df,known = pd.read_csv(root/'reviews.csv'),json.loads((root/'reviews.json').read_text())
    assert list(df)==['label', 'text', 'film', 'kind'] and len(df)==known['reviews']==200
    assert all(film in text for film,text in zip(df.film, df.text))
    pd.testing.assert_frame_equal(df, draw_reviews(200)[0])
    reader = Reader(dict(rules=['fix_html', 'replace_all_caps', 'replace_maj', 'lowercase'], language='en', vocab=['xxunk'], classes=['a']))
    assert max(map(len, reader.tokens(df.text.tolist())))<=41 # with the sign for the beginning


# ---- bad input

def at(df, row, value):
    "The table with another text in a row"
    texts = df.text.astype(object).tolist()
    texts[row] = value
    return df.assign(text=pd.Series(texts, index=df.index, dtype=object))


@pytest.mark.parametrize('value,says', [('', 'row 7 is empty'), (' \t\n', 'row 7 is empty'), (None, 'row 7 is missing'), (float('nan'), 'row 7 is missing'), (pd.NA, 'row 7 is missing'), (3.5, 'is a float'), (b'ab', 'is bytes'),
    (['a'], 'is a list'), ('x '*6_000_000, 'over 1,000,000'), ('x'*20_000, 'a word of more than'), ('a\0b\0', 'zero bytes'), ('\udce4', 'no text')], ids=lambda o: repr(o)[:20])
def test_a_bad_text_is_named_by_its_row(reviews, value, says):
    for use in (check_texts, text_report, text_dls):
        with pytest.raises(DataError, match=says) as e: use(at(reviews, 7, value))
        assert e.value.next


@pytest.mark.parametrize('spoil,says', [
    (lambda df: df.assign(text=1.5), 'holds numbers'), (lambda df: df.assign(text=np.arange(len(df))), 'holds numbers'), (lambda df: df[df.label=='positive'], 'in every row'), (lambda df: df.iloc[:0], '0 rows'), (lambda df: df.drop(columns='text'), "no column 'text'"),
    (lambda df: df.drop(columns='label'), "no column 'label'"), (lambda df: df.assign(label=df.label.where(df.index!=4)), 'labels are missing'), (lambda df: df.to_dict(), 'is a dict'), (lambda df: df.text.tolist(), 'is a list'),
    (lambda df: df.assign(text=df.text.map(lambda o: f'“{o}” café'.encode().decode('latin-1'))), 'wrong encoding'), (lambda df: df.assign(text=df.text+'\ufffd'), 'wrong encoding'),
    (lambda df: df.assign(label=df.index), 'those are names'), (lambda df: pd.concat([df, df.text], axis=1), 'Two columns')], ids=range(13))
def test_tables_that_are_refused(reviews, spoil, says):
    with pytest.raises((DataError, UnsupportedError), match=says) as e: check_texts(spoil(reviews))
    assert e.value.next


def test_letters_of_other_languages_are_no_fault():
    fine = ['naïve café', 'ÄÖÜ ß', 'Ångström', 'これは良い映画です。', 'очень плохо', '🎬 👍', 'Ça va? – «Oui»', 'Â']
    assert not any(map(is_garbled, fine)) and not any(map(why_no_text, fine))


def test_numbers_as_labels_and_other_names_of_columns(reviews):
    df = reviews.rename(columns=dict(text='review', label='stars')).assign(stars=(reviews.label=='positive').astype(int))
    model = quick_text(text_dls(df, 'review', 'stars'), epochs=3)
    assert model.classes==['0', '1'] and model.predict('The plot is dull.').label in ('0', '1')


def test_a_label_that_stands_in_the_text_is_refused(reviews):
    for told in (reviews.text+' Verdict: '+reviews.label, reviews.label.map(dict(positive='9/10 ', negative='2/10 '))+reviews.text):
        df = reviews.assign(text=told)
        with pytest.raises(DataError, match='alone settles'): quick_text(text_dls(df))
        assert 'alone settles' in str(text_report(df))
    assert quick_text(text_dls(df), check=False).about['metrics']['accuracy']>.9


def test_one_of_many_classes_that_stands_in_the_text_is_refused(reviews):
    sections = ['sport', 'arts', 'politics', 'food']
    df = reviews.assign(label=[sections[i%4] for i in range(len(reviews))])
    assert 'alone settles' not in str(text_report(df))
    for told in (df.text+' Section: '+df.label, df.text+[' (reprint)' if o=='food' else '' for o in df.label]):
        with pytest.raises(DataError, match='settles 100% of what is of one class'): quick_text(text_dls(df.assign(text=told)))
        assert 'settles 100% of what is of one class' in str(text_report(df.assign(text=told)))


def test_capitals_that_give_the_label_away_are_named_as_such(reviews):
    shouted = reviews.text.where(reviews.label=='negative', reviews.text.str.upper())
    with pytest.raises(DataError, match='A word in capitals alone settles'): quick_text(text_dls(reviews.assign(text=shouted)))


@pytest.mark.parametrize('labels', [lambda o: (o=='positive').astype(float), lambda o: ' '+o+' ', lambda o: (o=='positive').astype(int)], ids=('decimals', 'spaces', 'numbers'))
def test_labels_are_read_alike_in_training_and_after_it(reviews, labels):
    df = reviews.assign(label=labels(reviews.label))
    _,held = split_texts(df.text)
    valid = df.iloc[held]
    model = quick_text(text_dls(df, valid=held), epochs=5)
    trained = model.about['metrics']['accuracy']
    assert model.answers(valid.text, valid.label).correct.mean()==pytest.approx(trained)
    table = compare_texts(model, df.drop(df.index[held]), valid)
    assert table.accuracy['quick_text']==pytest.approx(trained, abs=1e-4) and trained>.5


def test_labels_that_the_model_does_not_know(reviews, model):
    with pytest.raises(DataError, match="None of the labels is a class of the model, such as 'good'"): model.answers(reviews.text[:3], ['good']*3)
    gap = reviews[:40].assign(label=reviews.label.where(reviews.index!=4))
    with pytest.raises(DataError, match='1 of 40 labels are missing'): compare_texts(None, gap, reviews[40:60])


def test_validation_texts_by_ones_and_zeros(reviews):
    chosen = [int(i%5==0) for i in range(len(reviews))]
    by_number,by_truth = text_dls(reviews, valid=chosen),text_dls(reviews, valid=[bool(o) for o in chosen])
    assert len(by_number.valid_ds)==sum(chosen)==len(by_truth.valid_ds)


@pytest.mark.parametrize('options', [dict(bs=2.5), dict(bs='a'), dict(bs=None), dict(bs=0)])
def test_batches_that_are_none(reviews, options):
    with pytest.raises(DataError, match='A batch of'): text_dls(reviews[:100], **options)


@pytest.mark.parametrize('lr', [0, -1, float('nan')])
def test_learning_rates_that_learn_nothing(reviews, lr):
    with pytest.raises(DataError, match='Give a learning rate above 0'): quick_text(text_dls(reviews[:200]), lr=lr)


@pytest.mark.parametrize('missing', ['', '  ', None])
def test_the_advice_on_missing_labels_works(reviews, missing):
    df = reviews.assign(label=[missing if i in (5, 9) else o for i,o in enumerate(reviews.label)])
    with pytest.raises(DataError, match='2 of 900 labels are missing, the first in row 5') as e: check_texts(df)
    names = dict(df=df)
    exec(e.value.next.removeprefix('Leave those rows out: ').removesuffix('.'), names)
    assert len(check_texts(names['df'])[0])==898


def test_repeated_signs_and_words_are_shown_as_people_read_them(model):
    text = 'The plot is good good good good!!!!\n\n\nA dull film.'
    words = word_effects(model, text).words
    assert 'good ×4' in words and '! ×4' in words and not any('xx' in o or '\n' in o for o in words)
    notes = model.predict_many(['film '*4, 'zorgh '*4+'film']).notes.tolist()
    assert notes==['', '1 of 2 words were never seen']


def test_a_word_that_stands_twice_counts_in_both_places(model):
    once,twice = (word_effects(model, o, 'positive') for o in ('A wonderful film.', 'A wonderful film, it is wonderful, wonderful.'))
    assert once.strongest()[0][0][0]=='wonderful'
    [(word, effect)] = [o for o in twice.strongest(9)[0] if o[0]=='wonderful']
    assert effect>.2 and str(twice).count('[wonderful+++]')==3


@pytest.mark.parametrize('shouted', ['TERMINÉ…', 'LE CAFÉ…', 'QUALITÉ®', 'AU REVOIR É’', 'CITÉ»', 'Ö–'])
def test_capitals_before_marks_are_no_wrong_encoding(shouted):
    assert not is_garbled(shouted)
    assert is_garbled(shouted.encode().decode('cp1252', 'replace')+' Ã©')


def test_a_subject_may_have_words_of_its_own(reviews):
    subjects = ['cat', 'dog', 'horse', 'cow', 'hen']
    label = [subjects[i%5] for i in range(len(reviews))]
    told = [f'{text} A {o}.' if i%16 else text for i,(text,o) in enumerate(zip(reviews.text, label))] # most of them say it
    quick_text(text_dls(reviews.assign(text=told, label=label)), epochs=1)
    every = [f'{text} A {o}.' for text,o in zip(reviews.text, label)]
    with pytest.raises(DataError, match='alone settles'): quick_text(text_dls(reviews.assign(text=every, label=label)))


def test_the_head_of_a_learner_without_metrics_says_its_accuracy(reviews):
    dls = TextDataLoaders.from_df(reviews[:200], text_col='text', label_col='label', valid_pct=.3, seed=1, bs=16)
    learn = text_classifier_learner(dls, AWD_LSTM, pretrained=False, config={**awd_lstm_clas_config, **SMALL}, metrics=[])
    model = quick_text(learn, epochs=2, check=False)
    held = reviews.iloc[dls.valid_ds.items.index]
    assert model.about['metrics']['accuracy']==pytest.approx(model.answers(held.text, held.label).correct.mean())
    for wrong in (dict(lr=float('nan')), dict(lr=-1), dict(epochs=0), dict(epochs=2.5)):
        with pytest.raises(DataError): quick_text(learn, check=False, **wrong)


def test_the_advice_on_copies_works(reviews):
    for copies in (reviews, reviews.assign(text=reviews.text.str.upper()+'!')):
        df = pd.concat([reviews, copies], ignore_index=True).rename(columns=dict(text='review'))
        found = text_report(df, 'review')
        advice = next(o for o in found.findings.advice if 'Keep each once' in o)
        names = dict(df=df, words_of=words_of)
        exec(advice.removeprefix('Keep each once: ').removesuffix('.'), names)
        assert 'copies of others' not in str(text_report(names['df'], 'review'))


def test_copies_on_both_sides_are_found(reviews):
    double = pd.concat([reviews[:200], reviews[:200].assign(text=reviews.text[:200].str.upper())], ignore_index=True)
    assert '200 of 200 validation texts stand in training' in str(text_report(double, valid=range(200, 400)))
    train,valid = split_texts(double.text)
    assert not {o%200 for o in train} & {o%200 for o in valid}
    twice = pd.concat([reviews[:200], reviews[:200]], ignore_index=True)
    with pytest.raises(DataError, match='stand in training'): quick_text(text_dls(twice, valid=range(200, 400)))


def test_training_needs_words_and_two_classes(reviews):
    strange = reviews[:60].assign(text=[f'w{i}x v{i}y' for i in range(60)])
    with pytest.raises(DataError, match='all are unknown'): quick_text(text_dls(strange))
    lone = pd.concat([reviews[reviews.label=='positive'][:50], reviews[reviews.label=='negative'][:1]], ignore_index=True)
    with pytest.raises(DataError, match='alone, in training'): text_dls(lone, valid=[50, 3])
    with pytest.raises(DataError, match='hold no texts'): quick_text([1, 2])


@pytest.mark.parametrize('valid', [None, 3, 0, [0, 9999], [-1, 3], [.5], ['a'], 'no_column', 'film', [True, False]], ids=repr)
def test_a_split_that_names_no_rows_is_refused(reviews, valid):
    with pytest.raises(DataError) as e: text_dls(reviews, valid=valid)
    assert e.value.next
    if valid is not None:
        with pytest.raises(DataError): text_report(reviews, valid=valid)


def test_a_split_by_true_and_false_and_by_a_column_is_the_same(reviews):
    held = reviews.index<300
    for valid in (held, held.tolist(), 'held', [*range(300), 5, 5]):
        dls = text_dls(reviews.assign(held=held), valid=valid)
        assert sorted(dls.valid_ds.items.index)==list(range(300))
    with pytest.raises(DataError, match='true or false'): text_dls(reviews.assign(held=held.astype(str)), valid='held') # 'False' is a text, and true
    with pytest.raises(DataError, match='true or false'): text_dls(reviews.assign(held=np.where(held, 1., np.nan)), valid='held')


@pytest.mark.parametrize('given', [None, 7, 'The plot is dull.', b'x', {'a': 'dull'}, pd.DataFrame(dict(text=['dull']))], ids=lambda o: type(o).__name__)
def test_what_is_no_list_of_texts(model, given):
    for use in (model.predict_many, model.probabilities, split_texts, lambda texts: stress_texts(model, texts)):
        with pytest.raises(DataError) as e: use(given)
        assert e.value.next


def test_several_texts_are_not_one(model, held):
    for given in (['dull'], held.text, np.array(['dull', 'good']), ('dull',)):
        with pytest.raises(DataError, match='predict_many'): model.predict(given)
    table = model.predict_many([np.array([1, 2]), held, object(), 'dull'])
    assert table.error.map(bool).tolist()==[True, True, True, False]


def test_what_cannot_be_changed_or_compared(model, held):
    with pytest.raises(DataError, match='no texts'): stress_texts(model, [])
    with pytest.raises(DataError, match='is empty'): stress_texts(model, ['dull', ''])
    with pytest.raises(DataError, match='no name'): stress_texts(model, held.text[:3], ['a', float('nan'), 'b'])
    with pytest.raises(DataError, match='is missing'): fit_tfidf(['dull', None], ['a', 'b'])
    with pytest.raises(DataError, match="no column 'label'"): compare_texts(model, held, held.drop(columns='label'))
    with pytest.raises(DataError, match='Text 1 is empty'): compare_texts(model, held, at(held, 1, ' '))
    with pytest.raises(UnsupportedError): save_text(3, 'nowhere')


def test_effects_of_what_cannot_be_read(model):
    with pytest.raises(DataError, match='no word that the model'): word_effects(model, 'qwertz')
    with pytest.raises(DataError, match='Cut it'): word_effects(model, 'good bad '*60_000)


def test_the_advice_fits_the_fault(model):
    for text,advice in (('g\0o\0', 'encoding'), (b'good', 'decode'), ('\udce4 good', 'encoding')):
        with pytest.raises(DataError) as e: model.predict(text)
        assert advice in e.value.next


def test_epochs_are_a_number(dls):
    for epochs in (-1, '3', 2.5):
        with pytest.raises(DataError, match='epochs'): quick_text(dls, epochs=epochs)


def test_validation_texts_of_unknown_words_are_scored_as_a_guess(reviews):
    strange = reviews[:260].assign(text=[o if i<200 else f'w{i}x' for i,o in enumerate(reviews.text[:260])])
    assert .2<quick_text(text_dls(strange, valid=range(200, 260)), epochs=2).about['metrics']['accuracy']<.8


def test_unknown_words_make_no_copies_and_few_texts_no_leak(reviews):
    strange = [f'The w{i}x y{i}z' for i in range(200)] # numbers 'the' and twice 'unknown'
    df = reviews[:400].assign(text=[*reviews.text[:200], *strange])
    assert quick_text(text_dls(df, valid=range(150, 400)), epochs=1).about['texts']==150
    few = reviews[:14]
    model = quick_text(text_dls(few, valid=few.groupby('label').head(2).index), epochs=1) # some word settles all, by chance
    assert model.about['texts']==10


def test_ten_languages_emoji_and_html(reviews):
    said = ['Ein guter Film', 'Un bon film', 'Una buena película', 'Un bel film', 'Хороший фильм', '良い 映画 です', '好 电影', 'فيلم جيد', 'सुंदर फिल्म', '좋은 영화', '🎬 👍🏽 👨‍👩‍👧', '<b>Film</b> &amp; <br />']
    df = reviews.assign(text=[f'{said[i%12]} {text}' for i,text in enumerate(reviews.text)])
    model = quick_text(text_dls(df), epochs=3)
    assert not model.predict_many(df.text[:24]).error.any()
    assert 'hold HTML' in str(text_report(df)) and len(word_effects(model, df.text[4]).words)>5


# ---- the model

def test_it_beats_a_coin_and_leaves_a_normal_learner(model, held, dls):
    with model.learn.no_bar(): right = model.learn.validate()[1]
    answers = model.answers(held.text, held.label)
    assert answers.correct.mean()==pytest.approx(right, abs=1e-6) and right>.65
    assert model.about['metrics']['accuracy']==pytest.approx(right, abs=1e-6)
    with model.learn.no_bar(): assert model.learn.predict('What a brilliant film!')[0]=='positive'
    assert model.learn.dls is dls


def test_the_same_seed_gives_the_same_model_and_leaves_the_generators_alone(dls, model):
    import torch
    torch.manual_seed(5)
    again = quick_text(dls)
    drawn = torch.rand(1).item()
    torch.manual_seed(5)
    assert drawn==torch.rand(1).item()
    some = ['The plot is good.', 'It is bad, not good.']
    np.testing.assert_array_equal(again.probabilities(some), model.probabilities(some))


def test_neighbours_are_read_and_nothing_beyond():
    df = draw_reviews(2000)[0]
    model = quick_text(text_dls(df))
    held = df.iloc[model.learn.dls.valid_ds.items.index]
    right = (model.predict_many(held.text).prediction==held.label.to_numpy()).groupby(held.kind.to_numpy()).mean()
    assert right['word']>.85 and right['near']>.6
    p = model.probabilities(['I expected to hate it and came to love it.', 'I expected to love it and came to hate it.'])
    np.testing.assert_allclose(p[0], p[1], atol=1e-6)
    alone = quick_text(model.learn.dls, pairs=False, epochs=5)
    p = alone.probabilities(['It is good, not bad.', 'It is bad, not good.'])
    np.testing.assert_allclose(p[0], p[1], atol=1e-6)


def test_many_texts_and_one(model):
    texts = ['The plot is dull.', '', None, 'qwertz', 3, 'a '*2_000_000, 'The plot is dull.']
    table = model.predict_many(texts)
    assert table.error.map(bool).tolist()==[False, True, True, True, True, True, False]
    assert table.prediction.tolist()[1:6]==[None]*5 and table.probability[1:6].isna().all()
    assert table.p_negative[0]==table.p_negative[6]==pytest.approx(model.probabilities(['The plot is dull.'])[0, 0])
    for o in texts[1:6]:
        with pytest.raises(DataError) as e: model.predict(o)
        assert e.value.next
    said = model.predict('The plot is dull.')
    assert said.label=='negative' and sum(said.probabilities.values())==pytest.approx(1)
    assert len(model.predict_many(pd.Series(texts[:1], index=[77])))==1 and len(model.predict_many([]))==0


def test_one_word_and_one_mark(model):
    assert model.predict('dull').label=='negative'
    for o in ('.', '!!!!', '\u200b'):
        with pytest.raises(DataError): model.predict(o)


def test_a_long_text_is_read(model): assert model.predict('The plot is dull. '*5000).label=='negative'


def test_three_classes(reviews, tmp_path):
    df = reviews.assign(label=reviews.label.where(reviews.kind!='none', 'nothing'))
    model = quick_text(text_dls(df), epochs=5)
    assert model.classes==['negative', 'nothing', 'positive']
    assert load_text(save_text(model, tmp_path/'m')).predict('What a superb film!').probabilities.keys()==set(model.classes)
    assert list(telling_words(fit_tfidf(df.text, df.label)))==model.classes


# ---- an encoder

def test_a_tuned_encoder_reads_once_and_stays(reviews, tmp_path):
    "ULMFiT's steps with a small language model that has learned next to nothing"
    lm_dls = TextDataLoaders.from_df(reviews[:200], path=tmp_path, text_col='text', is_lm=True, bs=16, seq_len=20)
    lm = language_model_learner(lm_dls, AWD_LSTM, config={**awd_lstm_lm_config, **SMALL}, pretrained=False, path=tmp_path)
    lm.save_encoder('tuned')
    (tmp_path/'models').mkdir(exist_ok=True)
    dls = TextDataLoaders.from_df(reviews[:200], path=tmp_path, text_col='text', label_col='label', seed=0, text_vocab=lm_dls.vocab, bs=16)
    learn = text_classifier_learner(dls, AWD_LSTM, config={**awd_lstm_clas_config, **SMALL}, pretrained=False, path=tmp_path).load_encoder('tuned')
    before = {k: v.clone() for k,v in learn.model[0].state_dict().items()}
    model = quick_text(learn, epochs=3)
    assert all((v==before[k]).all() for k,v in learn.model[0].state_dict().items()) and model.learn is learn
    with learn.no_bar(): theirs = learn.get_preds()[0].numpy()
    np.testing.assert_allclose(model.probabilities(reviews.text[dls.valid_ds.items.index].tolist()), theirs, atol=1e-4)
    with pytest.raises(UnsupportedError, match='quick_text'): save_text(model, tmp_path/'m')


def test_a_language_model_is_found_where_fastai_keeps_it(tmp_path, monkeypatch):
    monkeypatch.setenv('FASTAI_HOME', str(tmp_path))
    assert not has_language_model()
    (tmp_path/'models'/'wt103-fwd').mkdir(parents=True)
    for name in ('lstm_fwd.pth', 'itos_wt103.pkl'): (tmp_path/'models'/'wt103-fwd'/name).touch()
    assert has_language_model()


# ---- the bundle

@pytest.fixture(params=['m', 'm.zip'])
def bundle(request, model, tmp_path): return save_text(model, tmp_path/request.param, about={'licence': 'CC0'})


def test_a_bundle_answers_the_same(model, bundle, held):
    opened = load_text(bundle)
    np.testing.assert_allclose(opened.probabilities(held.text), model.probabilities(held.text), atol=1e-6)
    assert opened.about['licence']=='CC0' and opened.learn is None
    assert str(word_effects(opened, 'The plot is dull.'))==str(word_effects(model, 'The plot is dull.'))


def test_a_bundle_opens_in_a_fresh_process_without_a_warning(model, tmp_path):
    path = save_text(model, tmp_path/'m.zip')
    code = f"from fastclass.text import load_text; print(load_text({str(path)!r}).predict('What a dull film!').label)"
    out = subprocess.run([sys.executable, '-c', f'from fastclass.engine.base.machine import quiet; quiet(); {code}'], capture_output=True, text=True)
    assert out.stdout.strip()=='negative', out.stderr[-1500:]
    assert out.stderr==''


def test_a_bundle_holds_no_review(model, tmp_path, reviews):
    said = json.loads((save_text(model, tmp_path/'m')/TEXT).read_text())
    assert all(o not in json.dumps(said) for o in reviews.text[:50]) and said['plan']['rules'][0]=='fix_html'


def test_what_a_bundle_cannot_hold(dls, model, tmp_path, monkeypatch):
    tokenizer = next(o for o in dls.train_ds.tls[0].tfms.fs if hasattr(o, 'rules'))
    monkeypatch.setattr(tokenizer, 'rules', [*tokenizer.rules, str.title])
    with pytest.raises(UnsupportedError, match='rule'): quick_text(dls, epochs=1)
    changed = BagOfWords(model.model.n_tokens, model.model.pairs, 2)
    changed.features = lambda x: (x, (x>1).float())
    with pytest.raises(UnsupportedError, match='answers differ'): save_text(type(model)(changed, model.plan), tmp_path/'m')
    assert not list(tmp_path.iterdir())


# ---- what it looks at, and stress

def test_effects_read_in_print_and_aloud(model):
    seen = word_effects(model, 'The <b>plot</b> is wonderful & the music dull.', 'positive')
    assert len(seen.words)==len(seen.effects) and seen.words[0]=='The'
    html,text = seen._repr_html_(),str(seen)
    assert '<b>' not in html and '<script' not in html and '&amp;' in html and '<sup>' in html
    assert '[wonderful+' in text and 'For it: ' in text and 'Against it: ' in text


def test_effects_of_capitals_and_repeats(model):
    tokens = model.reader.tokens(['What a DULL film!!!! Dull.'])[0]
    assert [w for w,_ in units(tokens)][:4]==['What', 'a', 'DULL', 'film']
    assert sorted(i for _,some in units(tokens) for i in some)==list(range(1, len(tokens)))


def test_stress_says_what_should_happen(model, held):
    table = stress_texts(model, held.text, held.film)
    assert table.should.to_dict()=={'a "not" put in': 'turn', 'typing errors': 'stay', 'capitals': 'stay', 'another name': 'stay'}
    assert table.did.between(0, 1).all() and (table['from']<=table.did).all() and (table.did<=table.to).all()
    assert table.did['another name']>.8 and len(stress_texts(model, held.text[:20]))==3
    pd.testing.assert_frame_equal(table, stress_texts(model, held.text, held.film))


def test_baselines_are_beside_the_model(model, reviews, held):
    table = compare_texts(model, reviews.drop(held.index), held)
    assert list(table.index)==['commonest class', 'TF-IDF', 'TF-IDF with neighbours', 'quick_text']
    assert table.accuracy['quick_text']==pytest.approx(model.about['metrics']['accuracy'], abs=1e-4)


# ---- real data

def test_real_reviews_are_read_as_well_as_by_tfidf(shared):
    df = pd.read_csv(shared/'fastai_home'/'data'/'imdb_sample'/'texts.csv')
    df['text'] = df.text.str.split().str[:150].str.join(' ')
    found = []
    for seed in range(3):
        _,valid = split_texts(df.text, seed=seed)
        here = np.isin(np.arange(len(df)), valid)
        model = quick_text(text_dls(df, valid=valid), seed=seed)
        found.append(compare_texts(model, df[~here], df[here]).accuracy)
    table = pd.DataFrame(found).mean()
    assert table['quick_text']>table['TF-IDF']-.02 and table['quick_text']>.75


def test_a_text_that_the_rules_make_longer_than_spacy_takes(model, reviews):
    long = ('aaaaab'*800+' ')*150+' plot'
    assert len(long)<10**6 and model.predict(long).label in model.classes


@pytest.mark.parametrize('ask', [lambda model, df: text_dls(df, bs=0), lambda model, df: compare_texts(model, df[:0], df), lambda model, df: compare_texts(model, df, df[:0])])
def test_nothing_to_look_at_is_refused(model, reviews, ask):
    with pytest.raises(DataError) as e: ask(model, reviews)
    assert e.value.next


def test_one_long_text_does_not_change_the_others(model, reviews):
    texts = reviews.text[:60].tolist()
    alone = model.predict_many(texts).probability.to_numpy()
    beside = model.predict_many([*texts, 'plot '*60_000]).probability.to_numpy()[:60]
    assert np.allclose(alone, beside, atol=1e-5)
