//! The whole, with real processes: a Rust and a Python worker, on both flavours of the runtime.

mod system {
    mod load;
    mod subject;

    mod abuse;
    mod bad_luck;
    mod containment;
    mod deaths;
    mod from_toml;
    pub(crate) mod grpc;
    mod grpc_calls;
    mod grpc_sdk_calls;
    mod host_death;
    mod multitudes;
    mod own_actors;
    mod pits;
    mod registry;
    mod renewal;
    mod requests;
    mod sessions;
    mod shutdown;
    mod silence;
    mod status;
    mod streams;
    mod wires;
}
