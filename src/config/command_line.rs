//! Arguments, as Go's `flag` package reads them, with a verb anywhere between.

use super::settings::{self, Kind};
use super::{ConfigError, Source};
use std::collections::BTreeMap;

/// What the program is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Be the daemon.
    Run,
    /// Be the daemon, and X-Ray too.
    Local,
    /// Ask the running daemon how it is.
    Healthcheck,
    /// Send documents.
    Send,
    /// Explain `AWS_XRAY_DAEMON_ADDRESS`.
    Address,
    /// Write traces of the running daemon's store to standard output.
    Export,
    /// Put traces from files into the running daemon's store.
    Import,
    /// `--help`.
    Help,
    /// `--version`.
    Version,
}

/// Flags only one verb has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "switches of the command line")]
pub struct VerbOptions {
    /// `send --lines`
    pub lines: bool,
    /// `send --raw`, `export --raw`
    pub raw: bool,
    /// `address --resolve`
    pub resolve: bool,
    /// `address --env`
    pub env: bool,
    /// `export --from`
    pub from: Option<String>,
    /// `export --to`
    pub to: Option<String>,
    /// `export --filter`
    pub filter: Option<String>,
}

/// A parsed command line; values are not checked yet.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// What to do.
    pub verb: Verb,
    /// The verb's own switches.
    pub options: VerbOptions,
    /// What stands behind the verb.
    pub operands: Vec<String>,
    pub(super) flags: BTreeMap<&'static str, (String, Source)>,
}

impl Invocation {
    /// Parses the arguments behind the program's name.
    ///
    /// # Errors
    /// The first argument that cannot be understood.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, ConfigError> {
        let mut arguments = arguments.into_iter();
        let mut verb = None;
        let mut options = VerbOptions::default();
        let (mut operands, mut flags) = (Vec::new(), BTreeMap::new());
        while let Some(argument) = arguments.next() {
            if argument == "--" {
                operands.extend(arguments.by_ref());
                break;
            }
            // A dash alone is standard input.
            if argument == "-" || !argument.starts_with('-') {
                match verb {
                    None => verb = Some(parse_verb(&argument)?),
                    Some(_) => operands.push(argument),
                }
                continue;
            }
            let body = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-')).unwrap_or_default();
            let (name, value) = match body.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (body, None),
            };
            let written = argument.split('=').next().unwrap_or_default().to_owned();
            if name == "h" || name == "help" {
                return Ok(Self { verb: Verb::Help, options, operands, flags });
            }
            if let Some(option) = verb_option(&mut options, name) {
                *option = parse_switch(&written, value.as_deref().unwrap_or("true"))?;
                continue;
            }
            if let Some(option) = verb_value(&mut options, name) {
                let value = value.or_else(|| arguments.next());
                *option = Some(value.ok_or(ConfigError::ValueMissing { flag: written })?);
                continue;
            }
            let Some(setting) = settings::by_flag(name) else {
                return Err(ConfigError::UnknownFlag { flag: written });
            };
            let value = match (value, setting.kind) {
                (Some(value), _) => value,
                (None, Kind::Switch) => "true".to_owned(),
                (None, Kind::Value) => {
                    arguments.next().ok_or_else(|| ConfigError::ValueMissing { flag: written.clone() })?
                }
            };
            flags.insert(setting.flag, (value, Source::Flag(written)));
        }
        let mut parsed = Self { verb: verb.unwrap_or(Verb::Run), options, operands, flags };
        parsed.check()?;
        Ok(parsed)
    }

    fn check(&mut self) -> Result<(), ConfigError> {
        if let Some((value, Source::Flag(written))) = self.flags.get("version")
            && parse_switch(written, value)?
        {
            self.verb = Verb::Version;
        }
        let VerbOptions { lines, raw, resolve, env, from, to, filter } = self.options.clone();
        let allowed = match self.verb {
            Verb::Send => VerbOptions { lines, raw, ..VerbOptions::default() },
            Verb::Address => VerbOptions { resolve, env, ..VerbOptions::default() },
            Verb::Export => VerbOptions { raw, from, to, filter, ..VerbOptions::default() },
            _ => VerbOptions::default(),
        };
        if allowed != self.options {
            return Err(ConfigError::Conflict(
                "--lines and --raw belong to send, --resolve and --env to address, --from, --to, --filter and --raw to export"
                    .to_owned(),
            ));
        }
        match (self.verb, self.operands.first()) {
            (Verb::Send, None) => {
                Err(ConfigError::Conflict("send: name the files to send, or - for standard input".to_owned()))
            }
            (Verb::Import, None) => Err(ConfigError::Conflict(
                "import: name the files to read, or - for standard input".to_owned(),
            )),
            (Verb::Run | Verb::Local | Verb::Healthcheck | Verb::Address | Verb::Export, Some(word)) => {
                Err(ConfigError::Word { word: word.clone(), reason: "one word too many; see xrayd --help" })
            }
            _ => Ok(()),
        }
    }
}

fn parse_verb(word: &str) -> Result<Verb, ConfigError> {
    match word {
        "local" => Ok(Verb::Local),
        "healthcheck" => Ok(Verb::Healthcheck),
        "send" => Ok(Verb::Send),
        "address" => Ok(Verb::Address),
        "export" => Ok(Verb::Export),
        "import" => Ok(Verb::Import),
        "help" => Ok(Verb::Help),
        "version" => Ok(Verb::Version),
        _ => Err(ConfigError::Word {
            word: word.to_owned(),
            reason: "not a verb; there are local, healthcheck, send, address, export and import (and none, to run the daemon)",
        }),
    }
}

fn verb_option<'a>(options: &'a mut VerbOptions, name: &str) -> Option<&'a mut bool> {
    match name {
        "lines" => Some(&mut options.lines),
        "raw" => Some(&mut options.raw),
        "resolve" => Some(&mut options.resolve),
        "env" => Some(&mut options.env),
        _ => None,
    }
}

fn verb_value<'a>(options: &'a mut VerbOptions, name: &str) -> Option<&'a mut Option<String>> {
    match name {
        "from" => Some(&mut options.from),
        "to" => Some(&mut options.to),
        "filter" => Some(&mut options.filter),
        _ => None,
    }
}

/// The words Go's `strconv.ParseBool` takes.
pub(super) fn parse_switch(setting: &dyn std::fmt::Display, value: &str) -> Result<bool, ConfigError> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(ConfigError::Value {
            setting: setting.to_string(),
            value: value.to_owned(),
            remedy: "is neither true nor false".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Invocation, ConfigError> {
        Invocation::parse(line.split_ascii_whitespace().map(str::to_owned))
    }

    #[track_caller]
    fn check(line: &str, verb: Verb, flags: &[(&str, &str)]) {
        let parsed = parse(line).unwrap();
        let found: Vec<_> = parsed.flags.iter().map(|(flag, (value, _))| (*flag, value.as_str())).collect();
        assert_eq!((parsed.verb, &found[..]), (verb, flags), "{line}");
    }

    #[test]
    fn flags_have_one_dash_or_two_and_their_value_behind_a_blank_or_an_equals_sign() {
        for line in
            ["-n eu-west-1", "--n eu-west-1", "-n=eu-west-1", "-region eu-west-1", "--region=eu-west-1"]
        {
            check(line, Verb::Run, &[("region", "eu-west-1")]);
        }
        check("-o", Verb::Run, &[("local-mode", "true")]);
        check("-o=false --linger=1", Verb::Run, &[("linger", "1"), ("local-mode", "false")]);
        check("-n=", Verb::Run, &[("region", "")]);
    }

    #[test]
    fn the_last_of_several_wins_as_images_with_an_entry_point_need() {
        check(
            "-t 0.0.0.0:2000 -b 0.0.0.0:2000 -t :3000",
            Verb::Run,
            &[("bind", "0.0.0.0:2000"), ("bind-tcp", ":3000")],
        );
    }

    #[test]
    fn flags_may_stand_before_and_behind_a_verb() {
        check("-t :1 healthcheck -c x", Verb::Healthcheck, &[("bind-tcp", ":1"), ("config", "x")]);
        let send = parse("-l error send --lines a.jsonl -").unwrap();
        assert_eq!(
            (send.verb, send.options.lines, &send.operands[..]),
            (Verb::Send, true, &["a.jsonl".to_owned(), "-".to_owned()][..])
        );
    }

    #[test]
    fn help_and_version_need_nothing_else_to_be_right() {
        check("-h --nonsense", Verb::Help, &[]);
        check("-v", Verb::Version, &[("version", "true")]);
        check("--version=false", Verb::Run, &[("version", "false")]);
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for (line, expected) in [
            ("--regio x", "--regio: no such flag; see xrayd --help"),
            ("-n", "-n: a value has to follow"),
            (
                "lokal",
                "\"lokal\": not a verb; there are local, healthcheck, send, address, export and import (and none, to run the daemon)",
            ),
            ("address x", "\"x\": one word too many; see xrayd --help"),
            ("send", "send: name the files to send, or - for standard input"),
            (
                "address --lines",
                "--lines and --raw belong to send, --resolve and --env to address, --from, --to, --filter and --raw to export",
            ),
            ("import", "import: name the files to read, or - for standard input"),
            ("export x", "\"x\": one word too many; see xrayd --help"),
            ("export --from", "--from: a value has to follow"),
            ("-v=maybe", "-v: \"maybe\" is neither true nor false"),
        ] {
            assert_eq!(parse(line).unwrap_err().to_string(), expected, "{line}");
        }
    }
}
