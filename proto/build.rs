//! Compiles the contract without protoc, and writes a `Debug` that cannot print a secret.

use std::{collections::BTreeSet, env, fmt::Write as _, fs, path::Path};

use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet, field_descriptor_proto::Type};
use tonic_build::manual::{Builder, Method, Service};

const FILES: [&str; 5] = [
    "defguard/proxy.proto",
    "defguard/common.proto",
    "defguard/client_types.proto",
    "defguard/posture.proto",
    "postern/link.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=printable.txt");
    let out = env::var("OUT_DIR")?;
    let descriptors = protox::compile(FILES, ["proto"])?;

    tonic_prost_build::configure().skip_debug(["."]).include_file("contract.rs").compile_fds(descriptors.clone())?;
    fs::write(Path::new(&out).join("debug.rs"), debug_impls(&descriptors)?)?;
    Builder::new().build_transport(false).compile(&services());
    Ok(())
}

/// `Bidi` carries raw bytes: tonic ends a stream on a message that does not decode.
fn services() -> Vec<Service> {
    let tunnel = Service::builder()
        .name("Proxy")
        .package("defguard.proxy.v2")
        .method(streaming(method("bidi", "Bidi", "bytes::Bytes", "bytes::Bytes", "crate::codec::RawCodec"), true))
        .method(prost_method("purge", "Purge", "crate::Empty", "crate::Empty").build())
        .method(streaming(
            prost_method("trigger_acme", "TriggerAcme", "crate::proxy::AcmeChallenge", "crate::proxy::AcmeIssueEvent"),
            false,
        ))
        .build();
    let setup = Service::builder()
        .name("ProxySetup")
        .package("defguard.proxy.v2")
        .method(streaming(prost_method("start", "Start", "crate::Empty", "crate::common::LogEntry"), false))
        .method(
            prost_method("get_csr", "GetCsr", "crate::common::CertificateInfo", "crate::common::DerPayload").build(),
        )
        .method(prost_method("send_cert", "SendCert", "crate::common::CertBundle", "crate::Empty").build())
        .build();
    vec![tunnel, setup]
}

fn prost_method(name: &str, route: &str, input: &str, output: &str) -> tonic_build::manual::MethodBuilder {
    method(name, route, input, output, "tonic_prost::ProstCodec")
}

fn method(name: &str, route: &str, input: &str, output: &str, codec: &str) -> tonic_build::manual::MethodBuilder {
    Method::builder().name(name).route_name(route).input_type(input).output_type(output).codec_path(codec)
}

fn streaming(method: tonic_build::manual::MethodBuilder, both: bool) -> Method {
    let method = method.server_streaming();
    if both { method.client_streaming().build() } else { method.build() }
}

/// Text and bytes print as `***` unless `printable.txt` names the field and says why.
fn debug_impls(descriptors: &FileDescriptorSet) -> Result<String, Box<dyn std::error::Error>> {
    let listed = fs::read_to_string("printable.txt")?;
    let printable: BTreeSet<&str> = listed
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let mut known = BTreeSet::new();
    let mut code = String::new();
    for file in descriptors.file.iter().filter(|file| file.package() != "google.protobuf") {
        for message in &file.message_type {
            debug_impl(&mut code, &mut known, &printable, file.package(), message)?;
        }
    }
    let unknown: Vec<_> = printable.difference(&known.iter().map(String::as_str).collect()).copied().collect();
    if unknown.is_empty() { Ok(code) } else { Err(format!("printable.txt names unknown fields: {unknown:?}").into()) }
}

fn debug_impl(
    code: &mut String,
    known: &mut BTreeSet<String>,
    printable: &BTreeSet<&str>,
    package: &str,
    message: &DescriptorProto,
) -> std::fmt::Result {
    let module = format!("contract::{}", package.replace('.', "::"));
    let name = message.name();
    let mut fields = String::new();
    for field in message.field.iter().filter(|field| field.oneof_index.is_none() || field.proto3_optional()) {
        let full = format!("{package}.{name}.{}", field.name());
        let shown = shown(field, &format!("self.{}", field.name()), printable.contains(full.as_str()));
        known.insert(full);
        write!(fields, ".field(\"{}\", {shown})", field.name())?;
    }
    for (index, oneof) in message.oneof_decl.iter().enumerate() {
        let members: Vec<_> =
            message.field.iter().filter(|f| f.oneof_index == Some(index as i32) && !f.proto3_optional()).collect();
        if members.is_empty() {
            continue;
        }
        write!(fields, ".field(\"{0}\", &self.{0})", oneof.name())?;
        let ty = format!("{module}::{}::{}", snake(name), camel(oneof.name()));
        let mut arms = String::new();
        for member in members {
            let full = format!("{package}.{name}.{}", member.name());
            let shown = shown(member, "*value", printable.contains(full.as_str()));
            known.insert(full);
            let variant = camel(member.name());
            write!(
                arms,
                "Self::{variant}(value) => {{ let _ = value; f.debug_tuple(\"{variant}\").field({shown}).finish() }},"
            )?;
        }
        write_impl(code, &ty, &format!("match self {{ {arms} }}"))?;
    }
    write_impl(code, &format!("{module}::{name}"), &format!("f.debug_struct(\"{name}\"){fields}.finish()"))
}

fn write_impl(code: &mut String, ty: &str, body: &str) -> std::fmt::Result {
    writeln!(
        code,
        "impl ::core::fmt::Debug for {ty} {{ fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{ {body} }} }}"
    )
}

fn shown(field: &FieldDescriptorProto, place: &str, printable: bool) -> String {
    let secret = matches!(field.r#type(), Type::String | Type::Bytes) && !printable;
    // A map is a repeated message whose type is an entry that prost does not generate.
    let map = field.type_name().ends_with("Entry");
    if secret || map { "&format_args!(\"***\")".to_owned() } else { format!("&{place}") }
}

fn snake(name: &str) -> String {
    let mut out = String::new();
    for (at, c) in name.char_indices() {
        if c.is_ascii_uppercase() && at > 0 {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

fn camel(name: &str) -> String {
    name.split('_')
        .map(|part| {
            part.chars().take(1).map(|c| c.to_ascii_uppercase()).chain(part.chars().skip(1)).collect::<String>()
        })
        .collect()
}
