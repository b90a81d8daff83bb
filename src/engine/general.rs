//! Routes that carry names of many zones, as lookups through a resolver do.
//!
//! On such a route silence says more about some zone's servers than about the server that is asked, so that it must not
//! throttle the names of all other zones; and a reply without records still tells how long it may be kept (RFC 2308 §5).

use crate::exchange::Route;

use super::core::Engine;

/// What may always be in flight on such a route: some dozen names of dead zones must not stop the others.
const WINDOW_FLOOR: u32 = 48;

impl Engine {
    /// Says that names of many zones go by this route: its window stays open however much is lost, and its replies are
    /// kept whole.
    pub fn generalise(&mut self, route: Route) {
        self.route(route).general = true;
        for path in self.route(route).paths.clone() {
            self.paths[usize::from(path.0)].window.keep_above(WINDOW_FLOOR);
        }
    }
}
