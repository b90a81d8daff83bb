//! Where a run's dossiers go: to standard output as they come or at the end, to files, and into the tally that makes the
//! exit status. A broken pipe ends standard output, and the run too if nothing else is written. What is revised comes once more
//! where dossiers go as they come; what is fed in input order is written anew.

use std::io;

use reputon::dnsxl::{Catalogue, Observation, Role};
use reputon::dossier::{Change, ChangeKind, Difference, Dossier};
use reputon::report::{HeldSink, Judged, Outputs, RunHead, Sink};
use reputon::scan::{Order, Receiver, Stop, StopReason};
use reputon::verdict::{Audit, Judge, Tally};

use super::past::Memories;

/// A sink that is fed in input order.
pub(crate) enum Output<'a> {
    Stdout(Box<dyn Sink + Send>),
    /// Standard output, of a run that may have to write it anew.
    Held(HeldSink<'static>),
    Files(&'a mut Outputs),
}

/// All sinks, and the tally.
pub(crate) struct Reports<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) head: RunHead,
    pub(crate) judge: Judge<'a>,
    pub(crate) tally: Tally,
    /// Standard output, if it takes dossiers as they come.
    pub(crate) live: Option<Box<dyn Sink + Send>>,
    pub(crate) ordered: Vec<Output<'a>>,
    /// Nobody reads standard output any more.
    pub(crate) broken_pipe: bool,
    pub(crate) files: bool,
    /// Counts the block, if the run is an audit.
    pub(crate) audit: Option<Audit>,
    /// What earlier runs saw of the block, if it is one and runs are kept.
    pub(crate) past: Option<Memories>,
    /// Every listing as a change, if somebody is to be told and there may be no earlier run.
    pub(crate) first: Option<Difference>,
    pub(crate) stop: &'a Stop,
}

impl Reports<'_> {
    /// Does something to every sink. A broken pipe ends standard output, and the run if nothing else is written.
    pub(crate) fn each(&mut self, mut act: impl FnMut(&mut dyn Sink) -> io::Result<()>) -> io::Result<()> {
        if let Some(live) = &mut self.live {
            let result = act(live.as_mut());
            self.stdout_done(result)?;
        }
        self.each_ordered(act)
    }

    fn each_ordered(&mut self, mut act: impl FnMut(&mut dyn Sink) -> io::Result<()>) -> io::Result<()> {
        let mut results = Vec::new();
        for output in &mut self.ordered {
            match output {
                Output::Stdout(sink) => results.push(act(sink.as_mut())),
                Output::Held(sink) => results.push(act(sink)),
                Output::Files(files) => act(*files)?,
            }
        }
        results.into_iter().try_for_each(|result| self.stdout_done(result))
    }

    /// A pipe whose reader has ended, or a terminal that has gone away.
    fn is_nobody_there(&self, error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::BrokenPipe || self.stop.requested() == Some(StopReason::HangUp)
    }

    fn stdout_done(&mut self, result: io::Result<()>) -> io::Result<()> {
        match result {
            Err(error) if self.is_nobody_there(&error) => {
                self.live = None;
                self.ordered.retain(|output| matches!(output, Output::Files(_)));
                self.broken_pipe = true;
                if !self.files && self.stop.requested().is_none() {
                    self.stop.request(StopReason::Interrupt);
                }
                Ok(())
            }
            result => result,
        }
    }
}

impl Receiver for Reports<'_> {
    fn take(&mut self, dossier: &Dossier, order: Order) -> io::Result<()> {
        if order == Order::AsClosed {
            self.tally.add(dossier);
            if let Some(first) = &mut self.first {
                add_listings(first, self.catalogue, (None, dossier));
            }
            if self.live.is_none() {
                return Ok(());
            }
        }
        if let (Order::Input, Some(audit)) = (order, &mut self.audit) {
            audit.add(self.catalogue, dossier);
            if let Some(past) = &mut self.past {
                past.add(self.catalogue, dossier);
            }
        }
        let judgement = self.judge.judge(dossier);
        let judged = Judged {
            catalogue: self.catalogue,
            dossier,
            judgement: &judgement,
        };
        match (order, &mut self.live) {
            (Order::AsClosed, Some(live)) => {
                let result = live.target(&judged);
                self.stdout_done(result)
            }
            (Order::AsClosed, None) => Ok(()),
            (Order::Input, _) => self.each_ordered(|sink| sink.target(&judged)),
        }
    }

    fn revise(&mut self, before: &Dossier, after: &Dossier) -> io::Result<()> {
        self.tally.revise(before, after);
        if let Some(first) = &mut self.first {
            add_listings(first, self.catalogue, (Some(before), after));
        }
        let Some(live) = &mut self.live else { return Ok(()) };
        let judgement = self.judge.judge(after);
        let result = live.target(&Judged {
            catalogue: self.catalogue,
            dossier: after,
            judgement: &judgement,
        });
        self.stdout_done(result)
    }

    fn start_over(&mut self) -> io::Result<()> {
        if let Some(audit) = &mut self.audit {
            *audit = Audit::default();
        }
        if let Some(past) = &mut self.past {
            past.start_over();
        }
        for output in &mut self.ordered {
            match output {
                Output::Stdout(_) => unreachable!("a run that is revised holds standard output back"),
                Output::Held(sink) => sink.start_over()?,
                Output::Files(files) => files.start_over()?,
            }
        }
        let head = self.head;
        self.each_ordered(|sink| sink.begin(&head))
    }

    fn wants_input_order(&self) -> bool {
        !self.ordered.is_empty() || self.audit.is_some()
    }
}

/// Takes in a target's block-role listings as newly listed, as far as an earlier revision had them not.
fn add_listings(first: &mut Difference, catalogue: &Catalogue, (before, dossier): (Option<&Dossier>, &Dossier)) {
    for (column, observed) in dossier.observations.iter().enumerate() {
        let Observation::Listed(listing) = &observed.observation else {
            continue;
        };
        let earlier = before.map(|before| &before.observations[column].observation);
        if matches!(earlier, Some(Observation::Listed(_))) {
            continue;
        }
        if listing.role == Role::Block {
            let change = Change {
                target: dossier.target.to_string(),
                list: catalogue.list(observed.list).id.clone(),
                operator: catalogue.operator_of(observed.list).name.clone(),
                role: listing.role,
                tier: listing.tier,
                before: "not_asked".into(),
                after: "listed".into(),
                codes_before: Vec::new(),
                codes: listing.codes.answers.clone(),
            };
            first.add(ChangeKind::NewlyListed, change);
        }
    }
}
