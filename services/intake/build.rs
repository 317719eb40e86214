//! Compiles the event's contract and what is read of OTLP (`proto/`) with a schema compiler in pure Rust: no `protoc` is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = "../../proto";
    println!("cargo:rerun-if-changed={root}");
    let schema = protox::compile(["verdict/v1/attempt.proto", "verdict/v1/otlp.proto"], [root])?;
    prost_build::Config::new().btree_map(["."]).compile_fds(schema)?;
    Ok(())
}
