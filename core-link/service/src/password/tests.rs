//! Which passwords are taken, and what is kept of them.

use std::num::NonZeroUsize;

use super::*;

fn passwords() -> Passwords {
    Passwords::new(NonZeroUsize::MIN)
}

fn password(text: &str) -> Password {
    Password::new(text.to_owned())
}

async fn fits(text: &str, hash: &PasswordHash) -> bool {
    match passwords().verify(password(text), hash.clone()).await.unwrap() {
        Verdict::Fits => true,
        Verdict::Differs => false,
        Verdict::FitsRenewed(_) => panic!("a new hash is outdated already"),
    }
}

#[tokio::test]
async fn an_accepted_password_verifies_and_another_does_not() {
    let hash = passwords().accept(password("Str0ng!passw-rd"), vec![]).await.unwrap();
    assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
    assert!(fits("Str0ng!passw-rd", &hash).await);
    assert!(!fits("Str0ng!passw-re", &hash).await);
    assert!(!fits(&"x".repeat(257), &hash).await);
}

#[tokio::test]
async fn weak_short_and_endless_passwords_are_refused() {
    for text in ["weak", "aB3$xY7", "password1234", "aaaaaaaaaaaaaaaa", &"aB3$xY7!".repeat(33)] {
        let refused = passwords().accept(password(text), vec![]).await;
        assert!(matches!(refused, Err(PasswordError::TooWeak)), "{text}");
    }
}

#[tokio::test]
async fn what_everybody_takes_is_refused_whole_and_with_the_usual_ends() {
    for text in [
        "12345678",
        "1234567890",
        "password",
        "Passw0rd!",
        "P@ssw0rd123",
        "qwertyuiop",
        "1q2w3e4r5t",
        "1qaz2wsx3edc",
        "iloveyou",
        "sunshine1",
        "football123",
        "Welcome123!",
        "Summer2026!",
        "Winter.2027",
        "November2026!",
        "letmein!letmein!",
        "ChangeMe123!",
        "admin12345!",
        "Monday-2026",
        "superman1!",
        "abcd1234!",
        "trustno1!",
        "baseball2026",
        "princess123!",
        "starwars77!",
        "dragon2026!",
        "monkey123!!",
        "asdfghjkl;'",
    ] {
        let refused = passwords().accept(password(text), vec![]).await;
        assert!(matches!(refused, Err(PasswordError::TooWeak)), "{text}");
    }
}

#[tokio::test]
async fn long_phrases_of_any_script_are_taken_whole() {
    for text in ["nine grey geese fly home late", "żółta łódź płynie na północ", &"Str0ng!passw-rd ".repeat(16)]
    {
        let hash = passwords().accept(password(text), vec![]).await.unwrap();
        assert!(fits(text, &hash).await, "{text}");
    }
}

#[tokio::test]
async fn a_hash_of_weaker_parameters_is_renewed_and_a_stronger_one_stays() {
    let with = |algorithm, memory, passes| {
        let params = Params::new(memory, passes, LANES, None).unwrap();
        let hash = Argon2::new(algorithm, Version::V0x13, params).hash_password(b"Str0ng!passw-rd").unwrap();
        PasswordHash(hash.to_string())
    };
    for (outdated, hash) in [
        (true, with(Algorithm::Argon2id, MEMORY / 2, PASSES)),
        (true, with(Algorithm::Argon2id, MEMORY, PASSES - 1)),
        (true, with(Algorithm::Argon2i, MEMORY, PASSES)),
        (false, with(Algorithm::Argon2id, MEMORY, PASSES)),
        (false, with(Algorithm::Argon2id, MEMORY * 2, PASSES + 1)),
    ] {
        let verdict = passwords().verify(password("Str0ng!passw-rd"), hash.clone()).await.unwrap();
        match verdict {
            Verdict::FitsRenewed(renewed) => assert!(outdated && fits("Str0ng!passw-rd", &renewed).await),
            Verdict::Fits => assert!(!outdated, "{}", hash.as_str()),
            Verdict::Differs => panic!("{}", hash.as_str()),
        }
        let other = passwords().verify(password("0ther!passw-rd"), hash).await.unwrap();
        assert!(matches!(other, Verdict::Differs));
    }
}

#[tokio::test]
async fn words_that_belong_to_the_person_do_not_make_a_password_strong() {
    let text = "wolfeschlegelsteinhausen";
    assert!(passwords().accept(password(text), vec![]).await.is_ok());
    let refused = passwords().accept(password(text), vec![text.to_owned()]).await;
    assert!(matches!(refused, Err(PasswordError::TooWeak)));
}

#[tokio::test]
async fn bytes_beyond_the_72nd_and_after_a_zero_count() {
    let long = format!("{}{}", "Str0ng!passw-rd ".repeat(6), "end");
    let hash = passwords().accept(password(&long), vec![]).await.unwrap();
    assert!(!fits(&long[..long.len() - 1], &hash).await);
    let hash = passwords().accept(password("Str0ng!passw-rd\0tail"), vec![]).await.unwrap();
    assert!(!fits("Str0ng!passw-rd", &hash).await);
}

#[tokio::test]
async fn beyond_the_queue_a_caller_is_refused_at_once() {
    let passwords = passwords();
    let held = Arc::clone(&passwords.queue).try_acquire_many_owned(1 + u32::try_from(WAITING_PER_PERMIT).unwrap());
    let refused = passwords.accept(password("Str0ng!passw-rd"), vec![]).await;
    assert!(matches!(refused, Err(PasswordError::Overloaded)));
    drop(held);
    assert!(passwords.accept(password("Str0ng!passw-rd"), vec![]).await.is_ok());
}

#[test]
fn debug_shows_neither_password_nor_hash() {
    let shown = format!("{:?} {:?}", password("secret"), PasswordHash("secret".to_owned()));
    assert_eq!(shown, "Password(***) PasswordHash(***)");
}
