//! What a person sees, in a real Chromium: the pages of an Edge, with a Core that answers as each test needs.

mod answers;
mod enrolling;
mod hostile;
mod loading;
mod openid;
mod passwords;
mod site;
mod third_party;
