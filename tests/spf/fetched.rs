//! What `scripts/fetch-spf-suite` leaves.

use std::path::PathBuf;

/// Where the suite and pyspf are, as `scripts/fetch-spf-suite` leaves them.
pub(crate) fn suite_path() -> PathBuf {
    let given = std::env::var_os("REPUTON_SPF_SUITE").map(PathBuf::from);
    let path = given.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/spf-suite/suite.json"));
    assert!(
        path.is_file(),
        "{} is missing: run scripts/fetch-spf-suite, or set REPUTON_SPF_SUITE to its suite.json",
        path.display()
    );
    path
}
