//! What a provider, or somebody in its place, may do to a relying party.

/// One kind of misbehaviour. Everything else stays right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misbehaviour {
    // The claims of the ID token.
    WrongIssuer,
    IssuerWithSlash,
    NoIssuer,
    WrongAudience,
    MoreAudiences,
    NoAudience,
    OtherAuthorizedParty,
    WrongNonce,
    NoNonce,
    Expired,
    NoExpiry,
    IssuedLongAgo,
    IssuedInFuture,
    NoSubject,
    EmptySubject,
    LongSubject,
    WrongAccessTokenHash,
    // Its signature.
    Unsigned,
    SharedKeyFromPublicKey,
    SharedKeyFromSecret,
    UnknownKeyId,
    ForeignKey,
    KeyInHeader,
    BrokenSignature,
    ChangedAfterSigning,
    CriticalHeader,
    // The token endpoint.
    NoIdToken,
    NotJson,
    RefusesCode,
    TokenRedirects,
    TokenStreams,
    /// Until it behaves again.
    TokenWaits,
    TokenIsHuge,
    TokenFails,
    // Metadata and keys.
    OtherMetadata,
    UnsafeKeyAddress,
    MetadataRedirect,
    HugeKeys,
    StreamedKeys,
}

impl Misbehaviour {
    /// After each of these a token, or no token, comes back that proves nothing.
    pub const OF_TOKENS: [Self; 29] = [
        Self::WrongIssuer,
        Self::IssuerWithSlash,
        Self::NoIssuer,
        Self::WrongAudience,
        Self::MoreAudiences,
        Self::NoAudience,
        Self::OtherAuthorizedParty,
        Self::WrongNonce,
        Self::NoNonce,
        Self::Expired,
        Self::NoExpiry,
        Self::IssuedLongAgo,
        Self::IssuedInFuture,
        Self::NoSubject,
        Self::EmptySubject,
        Self::LongSubject,
        Self::WrongAccessTokenHash,
        Self::Unsigned,
        Self::SharedKeyFromPublicKey,
        Self::SharedKeyFromSecret,
        Self::UnknownKeyId,
        Self::ForeignKey,
        Self::KeyInHeader,
        Self::BrokenSignature,
        Self::ChangedAfterSigning,
        Self::CriticalHeader,
        Self::NoIdToken,
        Self::NotJson,
        Self::RefusesCode,
    ];

    /// After each of these it looks as if the provider were down.
    pub const OF_TRANSPORT: [Self; 4] = [Self::TokenRedirects, Self::TokenStreams, Self::TokenIsHuge, Self::TokenFails];

    /// With each of these nothing can be learnt of the provider.
    pub const OF_METADATA: [Self; 5] =
        [Self::OtherMetadata, Self::UnsafeKeyAddress, Self::MetadataRedirect, Self::HugeKeys, Self::StreamedKeys];
}
