//! Has no code: its manifest gives the programs that embed wasmtime the features that the workspace's tests have.
