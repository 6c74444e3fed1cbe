//! Requests whose end two servers may see in two places. In each, a second request lies where only a wrong reader finds it.

/// The second request: nothing else asks for this.
const POISON: &str = "GET /livez HTTP/1.1\r\nHost: edge\r\n\r\n";
const TYPE: &str = "Content-Type: application/json\r\n";
const POST: &str = "POST /api/v1/poll HTTP/1.1";

/// One case: what it is, and its bytes.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

pub(super) fn corpus() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(length_beside_coding());
    cases.extend(coding_beside_length());
    cases.extend(doubtful_lengths());
    cases.extend(doubtful_lines());
    cases.extend(doubtful_chunks());
    cases.extend(doubtful_targets());
    cases.extend(bodies_where_none_is_expected());
    cases
}

fn case(name: String, text: String) -> Case {
    Case { name, bytes: text.into_bytes() }
}

/// Spellings of a coding that somebody might take for `chunked`, or might not.
const CODINGS: [&str; 36] = [
    "Transfer-Encoding: chunked",
    "transfer-encoding:chunked",
    "TRANSFER-ENCODING: CHUNKED",
    "Transfer-Encoding: chunked ",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding: \tchunked\t",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding\t: chunked",
    " Transfer-Encoding: chunked",
    "\tTransfer-Encoding: chunked",
    "Transfer-Encoding:\r\n chunked",
    "Transfer-Encoding: \r\n\tchunked",
    "X: y\r\n Transfer-Encoding: chunked",
    "X: y\rTransfer-Encoding: chunked",
    "X: y\nTransfer-Encoding: chunked",
    "Transfer-Encoding\r\n: chunked",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunkedx",
    "Transfer-Encoding: x chunked",
    "Transfer-Encoding: chunked x",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: 'chunked'",
    "Transfer-Encoding: chunked;q=1",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding: , chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding: \u{b}chunked",
    "Transfer-Encoding: \u{c}chunked",
    "Transfer-Encoding: chunked\u{0}",
    "Transfer-Encoding: \u{a0}chunked",
    "Transfer_Encoding: chunked",
    "Content-Encoding: x\r\nTransfer-Encoding: chunked",
];

/// By its length the body has the second request in it; by its coding it ends before.
fn length_beside_coding() -> impl Iterator<Item = Case> {
    let body = format!("0\r\n\r\n{POISON}");
    CODINGS.into_iter().flat_map(move |coding| {
        let length = format!("Content-Length: {}", body.len());
        [[length.as_str(), coding], [coding, length.as_str()]].map(|[first, second]| {
            let text = format!("{POST}\r\nHost: edge\r\n{TYPE}{first}\r\n{second}\r\n\r\n{body}");
            case(format!("CL and TE: {first:?} {second:?}"), text)
        })
    })
}

/// By its coding the body has the second request in it; by its length it ends before.
fn coding_beside_length() -> impl Iterator<Item = Case> {
    // What is no coding to anybody, or a second line of the header before it, leaves the length in force, and two
    // requests in the open.
    let is_coding = |coding: &&str| coding.starts_with(['T', 't', 'C']) && !coding.starts_with("Transfer_");
    let real = CODINGS.into_iter().filter(is_coding);
    real.flat_map(|coding| {
        let chunk = format!("{:x}\r\n", POISON.len());
        let body = format!("{chunk}{POISON}\r\n0\r\n\r\n");
        ["Content-Length: {}".replace("{}", &chunk.len().to_string())].map(|length| {
            let text = format!("{POST}\r\nHost: edge\r\n{TYPE}{coding}\r\n{length}\r\n\r\n{body}");
            case(format!("TE and CL: {coding:?}"), text)
        })
    })
}

/// `N` is the length with which the second request lies in the body; whoever reads less finds it behind.
const LENGTHS: [&str; 34] = [
    "Content-Length: 0\r\nContent-Length: N",
    "Content-Length: N\r\nContent-Length: 0",
    "Content-Length: N\r\nContent-Length: N",
    "Content-Length: N, N",
    "Content-Length: N, 0",
    "Content-Length: 0, N",
    "Content-Length: N,",
    "Content-Length: ,N",
    "Content-Length: +N",
    "Content-Length: -N",
    "Content-Length: -0",
    "Content-Length: 0xN",
    "Content-Length: N.0",
    "Content-Length: Ne0",
    "Content-Length: N 0",
    "Content-Length: 0 N",
    "Content-Length: 0N",
    "Content-Length: 000000000000000000N",
    "Content-Length: \u{b}N",
    "Content-Length: N\u{0}",
    "Content-Length: \"N\"",
    "Content-Length: N;0",
    "Content-Length: N_0",
    "Content-Length : N",
    "Content-Length\t: N",
    "Content-Length:\r\n N",
    "Content-Length: 0\r\n N",
    "Content-Length: N\r\n 0",
    "Content-Length: 18446744073709551616",
    "Content-Length: 18446744073709551615",
    "Content-Length: 184467440737095516160N",
    "X: y\r\n Content-Length: 0\r\nContent-Length: N",
    "Content-Length: N\r\nConnection: content-length",
    "Connection: Content-Length, keep-alive\r\nContent-Length: N",
];

fn doubtful_lengths() -> impl Iterator<Item = Case> {
    LENGTHS.into_iter().map(|lines| {
        let lines = lines.replace('N', &POISON.len().to_string());
        case(format!("length: {lines:?}"), format!("{POST}\r\nHost: edge\r\n{TYPE}{lines}\r\n\r\n{POISON}"))
    })
}

/// Ends of lines that are none, around a length that has the second request in the body.
fn doubtful_lines() -> impl Iterator<Item = Case> {
    let length = format!("Content-Length: {}", POISON.len());
    let ends =
        ["\n", "\r", "\r\r\n", "\n\r\n ", "\u{b}\r\n", "\u{c}\r\n", "\u{85}\r\n", "\u{2028}\r\n", "\u{0}\r\n", " \r\n"];
    ends.into_iter().flat_map(move |end| {
        [
            format!("{POST}{end}Host: edge\r\n{TYPE}{length}\r\n\r\n{POISON}"),
            format!("{POST}\r\nHost: edge{end}{TYPE}{length}\r\n\r\n{POISON}"),
            format!("{POST}\r\nHost: edge\r\n{TYPE}{length}{end}X: y\r\n\r\n{POISON}"),
            format!("{POST}\r\nHost: edge\r\n{TYPE}X: y{end}{length}\r\n\r\n{POISON}"),
        ]
        .map(|text| case(format!("line end {end:?}"), text))
    })
}

/// Chunks whose size or end is written in a way that not everybody reads alike. All of it belongs to one body.
fn doubtful_chunks() -> impl Iterator<Item = Case> {
    let size = format!("{:x}", POISON.len());
    let chunks = [
        format!("{size};\n{POISON}\r\n0\r\n\r\n"),
        format!("{size};x=\n{POISON}\r\n0\r\n\r\n"),
        format!("{size};x=\"\n\"\r\n{POISON}\r\n0\r\n\r\n"),
        format!("{size};x\r{POISON}\r\n0\r\n\r\n"),
        format!("{size}\n{POISON}\n0\n\n"),
        format!("{size}\r{POISON}\r\n0\r\n\r\n"),
        format!("0x{size}\r\n{POISON}\r\n0\r\n\r\n"),
        format!("+{size}\r\n{POISON}\r\n0\r\n\r\n"),
        format!("-{size}\r\n{POISON}\r\n0\r\n\r\n"),
        format!(" {size}\r\n{POISON}\r\n0\r\n\r\n"),
        format!("{size} \r\n{POISON}\r\n0\r\n\r\n"),
        format!("{size}\t;x\r\n{POISON}\r\n0\r\n\r\n"),
        format!("{size}_0\r\n{POISON}\r\n0\r\n\r\n"),
        format!("0000000000000000{size}\r\n{POISON}\r\n0\r\n\r\n"),
        format!("1{:016x}\r\n{POISON}\r\n0\r\n\r\n", POISON.len()),
        format!("{size}\r\n{POISON}0\r\n\r\n"),
        format!("{size}\r\n{POISON}\n0\r\n\r\n"),
        format!("{size}\r\n{POISON}xx0\r\n\r\n"),
        format!("\r\n{size}\r\n{POISON}\r\n0\r\n\r\n"),
        format!(";\r\n{size}\r\n{POISON}\r\n0\r\n\r\n"),
        format!("0;\n\r\n{size}\r\n{POISON}"),
        format!("ffffffffffffffff\r\n{POISON}\r\n0\r\n\r\n"),
        format!("7fffffffffffffff\r\n{POISON}\r\n0\r\n\r\n"),
        format!("{size}\u{0}\r\n{POISON}\r\n0\r\n\r\n"),
    ];
    chunks.into_iter().map(|chunks| {
        let text = format!("{POST}\r\nHost: edge\r\n{TYPE}Transfer-Encoding: chunked\r\n\r\n{chunks}");
        case(format!("chunks: {:?}", chunks.get(..24).unwrap_or(&chunks)), text)
    })
}

/// Request lines and hosts of every shape, with the second request in the body.
fn doubtful_targets() -> impl Iterator<Item = Case> {
    let lines = [
        "POST http://evil.example/api/v1/poll HTTP/1.1\r\nHost: edge",
        "POST http://edge/api/v1/poll HTTP/1.1\r\nHost: evil.example",
        "POST http://edge@evil.example/api/v1/poll HTTP/1.1\r\nHost: edge",
        "POST //evil.example/api/v1/poll HTTP/1.1\r\nHost: edge",
        "POST api/v1/poll HTTP/1.1\r\nHost: edge",
        "POST /api/v1/poll HTTP/1.1\r\nHost: edge\r\nHost: evil.example",
        "POST /api/v1/poll HTTP/1.1\r\nHost: edge, evil.example",
        "POST /api/v1/poll HTTP/1.1\r\nHost: edge/x",
        "POST /api/v1/poll HTTP/1.1\r\nX: y",
        "POST /api/v1/poll HTTP/1.0\r\nHost: edge\r\nConnection: keep-alive",
        "POST /api/v1/poll HTTP/1.2\r\nHost: edge",
        "POST /api/v1/poll HTTP/2.0\r\nHost: edge",
        "POST /api/v1/poll HTTP/0.9\r\nHost: edge",
        "POST /api/v1/poll http/1.1\r\nHost: edge",
        "POST /api/v1/poll HTTP/1.1 HTTP/1.1\r\nHost: edge",
        "POST  /api/v1/poll HTTP/1.1\r\nHost: edge",
        "POST\t/api/v1/poll\tHTTP/1.1\r\nHost: edge",
        "POST /api/v1/poll  HTTP/1.1\r\nHost: edge",
        "POST /api/v1/poll\u{b}HTTP/1.1\r\nHost: edge",
        "post /api/v1/poll HTTP/1.1\r\nHost: edge",
        "PO ST /api/v1/poll HTTP/1.1\r\nHost: edge",
        "POST /api/v1/poll\u{0} HTTP/1.1\r\nHost: edge",
        "POST /api/v1/poll# HTTP/1.1\r\nHost: edge",
        "POST /api/v1/%70oll HTTP/1.1\r\nHost: edge",
        "POST /api/v1/x/../poll HTTP/1.1\r\nHost: edge",
        "\r\nPOST /api/v1/poll HTTP/1.1\r\nHost: edge",
        "\nPOST /api/v1/poll HTTP/1.1\r\nHost: edge",
        " POST /api/v1/poll HTTP/1.1\r\nHost: edge",
    ];
    lines.into_iter().map(|line| {
        let length = POISON.len();
        case(format!("target {line:?}"), format!("{line}\r\n{TYPE}Content-Length: {length}\r\n\r\n{POISON}"))
    })
}

/// A body is a body, whatever the method, the path and the answer.
fn bodies_where_none_is_expected() -> impl Iterator<Item = Case> {
    let firsts = [
        "GET /api/v1/info",
        "HEAD /api/v1/info",
        "DELETE /api/v1/poll",
        "OPTIONS /api/v1/poll",
        "TRACE /api/v1/poll",
        "POST /api/v1/nothing",
        "POST /nothing",
        "GET /",
        "GET /assets/style.css",
    ];
    let lines =
        ["", "Expect: 100-continue\r\n", "Upgrade: h2c\r\nConnection: upgrade\r\n", "Origin: https://evil.example\r\n"];
    firsts.into_iter().flat_map(move |first| {
        lines.map(|line| {
            let length = POISON.len();
            let text = format!("{first} HTTP/1.1\r\nHost: edge\r\n{line}Content-Length: {length}\r\n\r\n{POISON}");
            case(format!("body of {first} {line:?}"), text)
        })
    })
}
