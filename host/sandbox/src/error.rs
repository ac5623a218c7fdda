//! Why a sandbox cannot be opened, or a component cannot be loaded.

use model::{Digest, Problem};

/// Why a sandbox cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The engine or its linker could not be made.
    #[error("the WebAssembly engine could not be started: {0}")]
    Engine(String),
    /// The folder for compiled code cannot be used.
    #[error("the code cache {folder} cannot be used: {reason}")]
    Cache {
        /// The folder.
        folder: String,
        /// Why not.
        reason: String,
    },
    /// No thread could be started.
    #[error("the epoch thread could not be started")]
    Thread(#[source] std::io::Error),
}

/// Why a component cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Larger than what is compiled.
    #[error("the component has {bytes} bytes, more than the {limit} that are compiled")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A module, not a component.
    #[error("this is a core WebAssembly module, not a component")]
    CoreModule,
    /// Not WebAssembly, or broken WebAssembly.
    #[error("the bytes are not a valid component: {0}")]
    Malformed(String),
    /// A version of the contract that this host does not know.
    #[error("the component speaks {interface}, which this host does not know")]
    UnknownVersion {
        /// The interface with its version, as the component names it.
        interface: String,
    },
    /// Not a connector.
    #[error("the component exports no {interface}")]
    NoManifest {
        /// The interface that every connector exports.
        interface: &'static str,
    },
    /// Wants something of the host that it does not offer.
    #[error("the component imports {import}, which this host does not offer")]
    UnknownImport {
        /// Its name in the component.
        import: String,
    },
    /// An interface of ours with another shape than the contract's.
    #[error("the component's {interface} is not the contract's: {reason}")]
    WrongShape {
        /// The interface, or `imports`.
        interface: String,
        /// The difference.
        reason: String,
    },
    /// More memories, tables or instances than a call may have.
    #[error("the component needs {what}")]
    TooManyParts {
        /// What it needs, and the limit.
        what: String,
    },
    /// The file has other bytes than its name says.
    #[error("the component's digest is {found}, not {wanted}")]
    WrongDigest {
        /// What was asked for.
        wanted: Digest,
        /// What was read.
        found: Digest,
    },
    /// The file could not be read.
    #[error("the component could not be read: {0}")]
    Unreadable(String),
    /// The compiler failed, or the child that ran it.
    #[error("the component could not be compiled: {0}")]
    Compile(String),
}

impl LoadError {
    /// A stable name in kebab-case.
    fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "component-too-large",
            Self::CoreModule => "component-is-module",
            Self::Malformed(_) => "component-malformed",
            Self::UnknownVersion { .. } => "contract-version-unknown",
            Self::NoManifest { .. } => "component-no-connector",
            Self::UnknownImport { .. } => "component-import-unknown",
            Self::WrongShape { .. } => "component-wrong-shape",
            Self::TooManyParts { .. } => "component-too-many-parts",
            Self::WrongDigest { .. } => "component-wrong-digest",
            Self::Unreadable(_) => "component-unreadable",
            Self::Compile(_) => "component-not-compiled",
        }
    }

    fn advice(&self) -> (&'static str, &'static str) {
        match self {
            Self::TooLarge { .. } => (
                "debug information, or a language runtime that is too large",
                "build with optimisation and stripped symbols",
            ),
            Self::CoreModule => (
                "it was built for wasm32-unknown-unknown or wasm32-wasip1",
                "build it for wasm32-wasip2: cargo build --release --target wasm32-wasip2",
            ),
            Self::Malformed(_) => ("the file is damaged, or is something else", "build the connector again"),
            Self::UnknownVersion { .. } => (
                "the connector was built for another contract, with an older or newer SDK than this host's",
                "upgrade this host, or build the connector with an SDK of contract 0.1",
            ),
            Self::NoManifest { .. } => (
                "the component is no connector, or was built without the SDK's export line",
                "end lib.rs with the SDK's connector! line, as `sluice plugin new` sets it up; it exports sluicegate:connector/manifest@0.1.0",
            ),
            Self::UnknownImport { .. } => (
                "a library in the connector uses an interface outside the contract",
                "use the SDK's own functions; hosts offer sluicegate:connector 0.1, WASI 0.2 and its wasi:http for requests",
            ),
            Self::WrongShape { .. } => {
                ("the connector was built from changed WIT files", "build it from the published package")
            }
            Self::TooManyParts { .. } => {
                ("many modules are linked into one component", "link the connector into fewer core modules")
            }
            Self::WrongDigest { .. } => {
                ("the file was changed or replaced after it was approved", "install the plugin again from its source")
            }
            Self::Unreadable(_) => ("the file is missing or not readable", "install the plugin again from its source"),
            Self::Compile(_) => (
                "the component is too complex, or the machine is short of memory",
                "build it with optimisation and from fewer parts, or give compiling more (--compile-mib, --compile-cpu-seconds, --compile-seconds)",
            ),
        }
    }
}

impl From<LoadError> for Problem {
    fn from(error: LoadError) -> Self {
        let (cause, fix) = error.advice();
        Self::new(error.code(), error.to_string()).cause(cause).fix(fix)
    }
}
