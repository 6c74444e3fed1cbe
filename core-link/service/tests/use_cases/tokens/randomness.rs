//! Whether what nobody may guess looks random: as long as it should be, never the same, and no character favoured.

use std::collections::{BTreeMap, HashSet};

use postern_core::{mfa::Seed, token::Token};

use crate::support::Core;

const SAMPLES: usize = 10_000;
const LETTERS_AND_DIGITS: usize = 62;
const BASE32: usize = 32;

#[test]
fn tokens_have_190_bits_and_no_bias() {
    let tokens: Vec<String> = (0..SAMPLES).map(|_| Token::random().expose().to_owned()).collect();
    assert!(tokens.iter().all(|token| token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_alphanumeric())));
    assert!(bits(LETTERS_AND_DIGITS, 32) > 128.0);
    assert_random(&tokens, LETTERS_AND_DIGITS);
}

#[test]
fn seeds_have_160_bits_and_no_bias() {
    let seeds: Vec<String> = (0..SAMPLES).map(|_| Seed::random().to_base32().to_string()).collect();
    assert!(seeds.iter().all(|seed| seed.len() == 32));
    assert!(bits(BASE32, 32) > 128.0);
    assert_random(&seeds, BASE32);
}

/// A recovery code has its person's login beside it and few tries, so 64 bits would do (NIST SP 800-63B).
#[tokio::test]
async fn recovery_codes_have_95_bits_and_no_bias() {
    let core = Core::with_joe().await;
    let token = core.session("joe").await;
    let mut codes = Vec::new();
    for _ in 0..60 {
        codes.extend(core.set_up_factor_with_codes(&token).await.1);
    }
    assert_eq!(codes.len(), 480);
    assert!(codes.iter().all(|code| code.len() == 16 && code.bytes().all(|byte| byte.is_ascii_alphanumeric())));
    assert!(bits(LETTERS_AND_DIGITS, 16) > 64.0);
    assert_random(&codes, LETTERS_AND_DIGITS);
}

fn bits(symbols: usize, length: i32) -> f64 {
    (symbols as f64).log2() * f64::from(length)
}

fn assert_random(texts: &[String], symbols: usize) {
    let different: HashSet<&String> = texts.iter().collect();
    assert_eq!(different.len(), texts.len(), "one came twice");
    assert_even(&texts.concat(), symbols);
    for position in 0..texts[0].len() {
        let column: String = texts.iter().map(|text| &text[position..=position]).collect();
        assert_even(&column, symbols);
    }
}

/// Pearson's chi-square. Ten standard deviations above its mean: chance never gets there, a lost bit does at once.
#[track_caller]
fn assert_even(text: &str, symbols: usize) {
    let mut counts = BTreeMap::<char, usize>::new();
    text.chars().for_each(|character| *counts.entry(character).or_default() += 1);
    assert!(counts.len() <= symbols, "{counts:?}");
    let expected = text.len() as f64 / symbols as f64;
    let missing = (symbols - counts.len()) as f64 * expected;
    let chi_square: f64 = counts.values().map(|&count| (count as f64 - expected).powi(2) / expected).sum();
    let freedom = (symbols - 1) as f64;
    let bound = freedom + 10.0 * (2.0 * freedom).sqrt();
    assert!(chi_square + missing < bound, "{} over {bound}: {counts:?}", chi_square + missing);
}
