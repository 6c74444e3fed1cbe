//! Numbers that both ends must agree on. Each says where it comes from.

use std::time::Duration;

/// Largest message on a tunnel, in bytes: tonic's default on a stock peer.
pub const MESSAGE_MAX: usize = 4 * 1024 * 1024;

/// Initial HTTP/2 window of a tunnel's stream and connection, in bytes. A stalled reader then
/// never holds up small messages behind a large one.
pub const FLOW_CONTROL_WINDOW: u32 = 1024 * 1024;

/// From the moment NGINX first saw a request until somebody has answered it. Stock clients leave
/// after 5 s.
pub const REQUEST_BUDGET: Duration = Duration::from_secs(4);

/// How long a person may take to approve on another device.
pub const APPROVAL_BUDGET: Duration = Duration::from_secs(60);

/// Our own probe is sent this often over a tunnel.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// A tunnel that was silent for this long is avoided for new requests.
pub const SILENCE_AVOIDED: Duration = Duration::from_secs(2);

/// A tunnel that was silent for this long is closed.
pub const SILENCE_CLOSED: Duration = Duration::from_secs(6);

/// A probe without an answer for this long: the other end does not hear us, whatever we hear of it. So the tunnel is avoided
/// less than three seconds after the last probe that got through.
pub const PROBE_MISSED: Duration = Duration::from_millis(1_500);

/// So many probes in a row without an answer: the tunnel is closed, as long after the last one that got through as after
/// silence.
pub const PROBES_MISSED_MAX: u32 = 5;

/// Length of a session key, in bytes: 32 for signing (unused) and 32 for AES-256-GCM.
pub const SESSION_KEY_LENGTH: usize = 64;

/// Longest operation id, in bytes.
pub const OPERATION_ID_MAX: usize = 64;
