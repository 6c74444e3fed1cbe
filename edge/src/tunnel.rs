//! Live streams from Cores: accepting them, choosing one, pairing replies with requests.
