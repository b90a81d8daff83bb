//! What a stage concluded, in words that a person can act on.
//!
//! Text from the network enters a finding only through [`super::escape`]; names are written by
//! [`Name`](crate::wire::Name)'s own `Display`, which escapes too.

/// What a stage concluded, in words that a person can act on.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Finding {
    /// Which stage.
    pub stage: String,
    /// How bad it is.
    pub severity: Severity,
    /// A stable word, such as `spf_plus_all`.
    pub code: String,
    /// What was found.
    pub text: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
    /// The related name through which it concerns the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// It can cost delivery.
    Warning,
    /// It does cost delivery.
    Error,
}

impl Finding {
    /// A finding without a mend, about the target itself.
    pub fn new(stage: &str, severity: Severity, code: &str, text: impl Into<String>) -> Finding {
        Finding {
            stage: stage.to_owned(),
            severity,
            code: code.to_owned(),
            text: text.into(),
            mend: None,
            via: None,
        }
    }

    /// Good to know.
    pub fn info(stage: &str, code: &str, text: impl Into<String>) -> Finding {
        Finding::new(stage, Severity::Info, code, text)
    }

    /// It can cost delivery.
    pub fn warning(stage: &str, code: &str, text: impl Into<String>) -> Finding {
        Finding::new(stage, Severity::Warning, code, text)
    }

    /// It does cost delivery.
    pub fn error(stage: &str, code: &str, text: impl Into<String>) -> Finding {
        Finding::new(stage, Severity::Error, code, text)
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn mend(mut self, mend: impl Into<String>) -> Finding {
        self.mend = Some(mend.into());
        self
    }

    /// The same, through a related name.
    #[must_use]
    pub fn via(mut self, via: impl Into<String>) -> Finding {
        self.via = Some(via.into());
        self
    }
}
