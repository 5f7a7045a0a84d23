//! Flags, cfg.yaml and environment become one checked [`Config`]. The only room that reads the environment
//! (and [`crate::address`] its one variable).
//!
//! Every setting is described once, in `settings`: its flag, its environment variable, its key in cfg.yaml,
//! its default and its help all come from there. The flags follow Go's `flag` package, which the official
//! daemon uses: one or two dashes, `-n=us-east-1` or `-n us-east-1`, the last of several wins. No argument parser
//! crate reads long flags behind a single dash, so that part is our own.

mod checked;
mod command_line;
mod environment;
mod file;
mod memory;
mod settings;

use std::fmt;

pub use checked::{Config, Http, Listen, LogFormat, Logging, Stopping, Storing};
pub use command_line::{Invocation, Verb, VerbOptions};
pub use environment::Environment;
pub use settings::{help, reference};

/// What is wrong with the configuration: the setting, its value, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No flag has this name.
    #[error("{flag}: no such flag; see xrayd --help")]
    UnknownFlag {
        /// As written.
        flag: String,
    },
    /// A flag at the end that needs a value.
    #[error("{flag}: a value has to follow")]
    ValueMissing {
        /// As written.
        flag: String,
    },
    /// A word that is no verb, or one too many.
    #[error("{word:?}: {reason}")]
    Word {
        /// As written.
        word: String,
        /// What was expected.
        reason: &'static str,
    },
    /// A value the setting cannot have.
    #[error("{setting}: {value:?} {remedy}")]
    Value {
        /// Flag, variable, or key and file.
        setting: String,
        /// As written.
        value: String,
        /// What it may be.
        remedy: String,
    },
    /// The configuration file cannot be used.
    #[error("{path}: {reason}")]
    File {
        /// Which file.
        path: String,
        /// Why.
        reason: String,
    },
    /// A key of the configuration file that nothing reads.
    #[error("{path}: {key}: {reason}")]
    Key {
        /// Which file.
        path: String,
        /// Which key.
        key: String,
        /// Why.
        reason: &'static str,
    },
    /// Two settings that do not go together.
    #[error("{0}")]
    Conflict(String),
}

/// Where a value came from, for error messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Flag(String),
    Variable(String),
    Key { path: String, key: &'static str },
    Default(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Variable(name) => f.write_str(name),
            Self::Key { path, key } => write!(f, "{key} in {path}"),
            Self::Default(name) => write!(f, "{name} (default)"),
        }
    }
}
