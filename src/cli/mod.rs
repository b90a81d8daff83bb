//! The command line: what was typed (`args`, `options`, `values`), what teaches it (`help`, `pages`), parts made of it
//! (`build`), what is done (`commands`).
//!
//! clap stays here: nothing of the library sees a flag. Standard output is data, standard error is talk.

mod args;
mod build;
mod commands;
mod dispatch;
mod help;
mod options;
mod pages;
mod progress;
mod signals;
mod values;

pub(crate) use dispatch::run;
