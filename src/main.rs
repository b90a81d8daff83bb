//! The binary: exit status only.

fn main() {}
