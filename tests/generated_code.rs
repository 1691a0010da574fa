//! The generated code of the gRPC wire is what its `.proto` makes of it. No `protoc` is needed anywhere.

use std::path::{Path, PathBuf};

/// Set to write the file that differs, rather than to fail.
const REGENERATE: &str = "SNAKEPIT_REGENERATE";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a person asks for the file to be written, and for nothing else"
)]
fn the_committed_code_is_what_the_proto_makes() {
    let proto = root().join("proto");
    let file = proto.join("snakepit/worker/v1/worker.proto");
    let descriptors = protox::compile([&file], [&proto]).unwrap();
    let out = tempfile::tempdir().unwrap();
    tonic_prost_build::configure()
        .build_transport(false)
        .bytes(".")
        .out_dir(out.path())
        .compile_fds(descriptors)
        .unwrap();
    let made = std::fs::read_to_string(out.path().join("snakepit.worker.v1.rs")).unwrap();
    let made = format!(
        "//! Generated from `proto/snakepit/worker/v1/worker.proto`, held by `tests/generated_code.rs`.\n{made}"
    );

    let committed = root().join("snakepit-adapters/src/grpc/generated.rs");
    let is_same = std::fs::read_to_string(&committed).is_ok_and(|text| text == made);
    if !is_same && std::env::var_os(REGENERATE).is_some() {
        std::fs::write(&committed, made).unwrap();
        return;
    }
    assert!(is_same, "{} differs: run this test with {REGENERATE}=1", committed.display());
}

#[test]
fn the_health_service_has_the_names_of_the_standard() {
    let proto = root().join("proto");
    let file = proto.join("grpc/health/v1/health.proto");
    let descriptors = protox::compile([&file], [&proto]).unwrap();
    let described = &descriptors.file[0];
    assert_eq!(described.package(), "grpc.health.v1");
    assert_eq!(described.service[0].name(), "Health");
}
