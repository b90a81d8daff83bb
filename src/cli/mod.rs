//! The command line: what was typed (`args`, `options`, `values`, `server`, `numbers`), what stands in the configuration file (`config`), what
//! teaches it (`help`, `pages`), what others must not see of it (`hide`), what of it is no text (`not_utf8`), the room that there is for it (`room`), parts made of it
//! (`build`, `ground`), what is done (`commands`), and where results go (`reports`, `records`, `progress`,
//! `terminal`, `notify`).
//!
//! clap stays here: nothing of the library sees a flag. Standard output is data, standard error is talk.

mod args;
mod build;
mod commands;
mod config;
mod dispatch;
mod ground;
mod help;
mod hide;
mod keeping;
mod not_utf8;
mod notify;
mod numbers;
mod options;
mod pages;
mod past;
mod progress;
mod records;
mod reports;
mod room;
mod server;
mod signals;
mod stdout;
mod talk;
mod terminal;
mod values;
mod zone_data;

pub(crate) use dispatch::run;
