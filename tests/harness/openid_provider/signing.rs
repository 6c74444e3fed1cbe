//! Keys of the provider, and tokens under them: right ones, and all kinds of wrong ones.

use aws_lc_rs::{
    digest, hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{CLIENT_SECRET, Misbehaviour};

/// What a provider signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Es256,
    Rs256,
    EdDsa,
}

impl Algorithm {
    pub const ALL: [Self; 3] = [Self::Es256, Self::Rs256, Self::EdDsa];

    fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// The key of now, and one that nobody was told of.
#[derive(Debug)]
pub(super) struct Keys {
    number: usize,
    own: Key,
    foreign: Key,
}

#[derive(Debug)]
enum Key {
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

impl Keys {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        Self { number: 1, own: Key::new(algorithm), foreign: Key::new(algorithm) }
    }

    pub(super) fn successors(&self) -> Self {
        let algorithm = self.own.algorithm();
        Self { number: self.number + 1, own: Key::new(algorithm), foreign: Key::new(algorithm) }
    }

    pub(super) fn set(&self) -> Value {
        json!({ "keys": [self.own.public(&self.id())] })
    }

    fn id(&self) -> String {
        format!("key-{}", self.number)
    }

    /// An ID token, as right as the misbehaviour lets it be.
    pub(super) fn token(&self, claims: &Value, misbehaviour: Option<Misbehaviour>) -> String {
        let mut header = json!({ "alg": self.own.algorithm().name(), "kid": self.id(), "typ": "JWT" });
        match misbehaviour {
            Some(Misbehaviour::Unsigned) => header["alg"] = json!("none"),
            Some(Misbehaviour::SharedKeyFromPublicKey | Misbehaviour::SharedKeyFromSecret) => {
                header["alg"] = json!("HS256");
            }
            Some(Misbehaviour::UnknownKeyId) => header["kid"] = json!("key-of-nobody"),
            Some(Misbehaviour::KeyInHeader) => header["jwk"] = self.foreign.public(&self.id()),
            Some(Misbehaviour::CriticalHeader) => header["crit"] = json!(["exp"]),
            _ => {}
        }
        let signed = format!("{}.{}", encoded(&header), encoded(claims));
        let signature = self.signature(signed.as_bytes(), misbehaviour);
        let signed = match misbehaviour {
            Some(Misbehaviour::ChangedAfterSigning) => {
                let mut claims = claims.clone();
                claims["sub"] = json!("subject-of-ada");
                format!("{}.{}", encoded(&header), encoded(&claims))
            }
            _ => signed,
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn signature(&self, signed: &[u8], misbehaviour: Option<Misbehaviour>) -> Vec<u8> {
        match misbehaviour {
            Some(Misbehaviour::Unsigned) => Vec::new(),
            Some(Misbehaviour::SharedKeyFromPublicKey) => code(&self.own.public_bytes(), signed),
            Some(Misbehaviour::SharedKeyFromSecret) => code(CLIENT_SECRET.as_bytes(), signed),
            Some(Misbehaviour::ForeignKey | Misbehaviour::KeyInHeader | Misbehaviour::UnknownKeyId) => {
                self.foreign.sign(signed)
            }
            Some(Misbehaviour::BrokenSignature) => {
                let mut signature = self.own.sign(signed);
                signature[7] ^= 1;
                signature
            }
            _ => self.own.sign(signed),
        }
    }
}

impl Key {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Es256 => {
                Self::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key can be made"))
            }
            Algorithm::Rs256 => Self::Rs256(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key can be made")),
            Algorithm::EdDsa => Self::EdDsa(Ed25519KeyPair::generate().expect("a key can be made")),
        }
    }

    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Es256(_) => Algorithm::Es256,
            Self::Rs256(_) => Algorithm::Rs256,
            Self::EdDsa(_) => Algorithm::EdDsa,
        }
    }

    fn public_bytes(&self) -> Vec<u8> {
        match self {
            Self::Es256(key) => key.public_key().as_ref().to_vec(),
            Self::Rs256(key) => key.public_key().as_ref().to_vec(),
            Self::EdDsa(key) => key.public_key().as_ref().to_vec(),
        }
    }

    /// As RFC 7517 writes it.
    fn public(&self, id: &str) -> Value {
        let bytes = self.public_bytes();
        let part = |from: usize, length: usize| URL_SAFE_NO_PAD.encode(&bytes[from..from + length]);
        match self {
            Self::Es256(_) => json!({
                "kty": "EC", "crv": "P-256", "use": "sig", "kid": id, "x": part(1, 32), "y": part(33, 32)
            }),
            // The modulus of a 2048-bit key stands at a fixed place of the DER of RFC 8017.
            Self::Rs256(_) => json!({ "kty": "RSA", "use": "sig", "kid": id, "n": part(9, 256), "e": "AQAB" }),
            Self::EdDsa(_) => json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": id, "x": part(0, 32) }),
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Es256(key) => key.sign(&random, message).expect("a message can be signed").as_ref().to_vec(),
            Self::Rs256(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("a message can be signed");
                signature
            }
            Self::EdDsa(key) => key.sign(message).as_ref().to_vec(),
        }
    }
}

/// RFC 7636, S256.
pub(super) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

/// `at_hash`: the left half of the hash that belongs to the signature.
pub(super) fn half_hash(keys: &Keys, text: &str) -> String {
    let algorithm = match keys.own.algorithm() {
        Algorithm::Es256 | Algorithm::Rs256 => &digest::SHA256,
        Algorithm::EdDsa => &digest::SHA512,
    };
    let hash = digest::digest(algorithm, text.as_bytes());
    URL_SAFE_NO_PAD.encode(&hash.as_ref()[..hash.as_ref().len() / 2])
}

fn code(key: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message).as_ref().to_vec()
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
