//! Happy eyeballs (RFC 8305): the addresses of a name are raced, so that one that does not answer
//! takes only a fraction of the available time.

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use std::{collections::HashMap, net::SocketAddr, sync::Mutex, sync::PoisonError, time::Duration};
use tokio::time::{Instant, sleep_until};

/// How many addresses of a name are tried. All of them are checked.
const ADDRESSES_TRIED_MAX: usize = 8;
/// The longest wait before the next address is tried. A connection takes a TCP and a TLS handshake,
/// three round trips, so a shorter wait would open two connections to a distant receiver.
const STAGGER_MAX: Duration = Duration::from_millis(500);
/// The shortest wait before the next address is tried (RFC 8305, section 8).
const STAGGER_MIN: Duration = Duration::from_millis(100);
/// How long a failed address is tried after the others.
const FAILED_FOR: Duration = Duration::from_secs(600);
/// How many failed addresses are remembered.
const FAILED_MAX: usize = 4_096;

/// The addresses that failed recently, with the time of the failure, so that the next attempt tries
/// them last.
#[derive(Debug, Default)]
pub(crate) struct FailedAddresses(Mutex<HashMap<SocketAddr, Instant>>);

impl FailedAddresses {
    /// Orders addresses: those that did not fail first, in their order, and then the others, the
    /// latest failure last.
    pub(crate) fn order(&self, addresses: &mut [SocketAddr]) {
        let failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !failed.is_empty() {
            let now = Instant::now();
            let lately = |at: &&Instant| now.duration_since(**at) < FAILED_FOR;
            addresses.sort_by_key(|address| failed.get(address).filter(lately).copied());
        }
    }

    fn record(&self, lost: &[SocketAddr], won: Option<SocketAddr>) {
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if failed.len() + lost.len() > FAILED_MAX {
            failed.clear();
        }
        failed.extend(lost.iter().map(|address| (*address, now)));
        won.map(|address| failed.remove(&address));
    }

    /// Connects to one of `addresses` and returns the first success. The next address is tried when
    /// the one before failed or has used its share of the time until `deadline`. If none succeeds,
    /// returns the last failure. Each connection has to end at the deadline by itself.
    pub(crate) async fn race<T, E, F>(
        &self,
        addresses: &[SocketAddr],
        deadline: Instant,
        mut connect: impl FnMut(SocketAddr) -> F,
    ) -> Option<Result<T, E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut addresses = addresses.to_vec();
        self.order(&mut addresses);
        addresses.truncate(ADDRESSES_TRIED_MAX);
        let stagger = stagger(addresses.len(), deadline);
        let mut left = addresses.iter();
        let mut lost = Vec::new();
        let mut running = FuturesUnordered::new();
        let mut next_at = Instant::now();
        let mut last = None;
        loop {
            if running.is_empty() {
                next_at = Instant::now();
            }
            tokio::select! {
                biased;
                Some((address, result)) = running.next(), if !running.is_empty() => match result {
                    Ok(connected) => {
                        // Addresses that were started before the winner and are not connected yet
                        // are slow.
                        lost.extend(addresses.iter().copied().take_while(|before| *before != address));
                        self.record(&lost, Some(address));
                        return Some(Ok(connected));
                    }
                    Err(failure) => {
                        lost.push(address);
                        last = Some(Err(failure));
                        next_at = Instant::now();
                    }
                },
                () = sleep_until(next_at), if left.len() > 0 => {
                    if let Some(address) = left.next().copied() {
                        let connecting = connect(address);
                        running.push(async move { (address, connecting.await) });
                    }
                    next_at = Instant::now() + stagger;
                }
                else => {
                    self.record(&lost, None);
                    return last;
                }
            }
        }
    }
}

/// Returns the wait before the next address is tried, short enough that the last one still has half
/// of the time.
fn stagger(addresses: usize, deadline: Instant) -> Duration {
    let half = deadline.saturating_duration_since(Instant::now()) / 2;
    let share = half / u32::try_from(addresses.max(1)).unwrap_or(u32::MAX);
    share.clamp(STAGGER_MIN, STAGGER_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(ports: &[u16]) -> Vec<SocketAddr> {
        ports
            .iter()
            .map(|port| SocketAddr::from(([127, 0, 0, 1], *port)))
            .collect()
    }

    /// Simulates a connection. Ports from 1,000 never answer, those from 100 refuse, and the others
    /// accept.
    async fn connect(address: SocketAddr) -> Result<u16, u16> {
        match address.port() {
            1_000.. => std::future::pending().await,
            refused @ 100.. => Err(refused),
            accepted => Ok(accepted),
        }
    }

    async fn race(failed: &FailedAddresses, ports: &[u16]) -> (Option<Result<u16, u16>>, Duration) {
        let started = Instant::now();
        let deadline = started + Duration::from_secs(3);
        (
            failed.race(&addresses(ports), deadline, connect).await,
            started.elapsed(),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_does_not_answer_leaves_time_for_the_others() {
        let failed = FailedAddresses::default();
        let (won, took) = race(&failed, &[1_001, 1_002, 1_003, 4]).await;
        assert_eq!(won, Some(Ok(4)));
        assert!(took < Duration::from_millis(1_500), "took {took:?}");
        let (won, took) = race(&failed, &[1_001, 1_002, 1_003, 4]).await;
        assert_eq!(
            (won, took),
            (Some(Ok(4)), Duration::ZERO),
            "those that failed are tried last"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_not_waited_for() {
        let failed = FailedAddresses::default();
        assert_eq!(
            race(&failed, &[101, 102, 3]).await,
            (Some(Ok(3)), Duration::ZERO)
        );
        assert_eq!(race(&failed, &[101, 102]).await.0, Some(Err(102)));
        assert_eq!(race(&failed, &[]).await.0, None);
        let mut ordered = addresses(&[101, 9, 102]);
        failed.order(&mut ordered);
        assert_eq!(ordered, addresses(&[9, 101, 102]));
    }
}
