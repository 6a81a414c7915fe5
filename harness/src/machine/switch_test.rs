//! The switch between programs that play emulators.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout};

use super::switch::{Address, Link, Switch};

const A: Address = [2, 0, 0, 0, 0, 1];
const B: Address = [2, 0, 0, 0, 0, 2];
const C: Address = [2, 0, 0, 0, 0, 3];
const ALL: Address = [0xff; 6];
const DEADLINE: Duration = Duration::from_secs(10);

struct Peer(UnixStream);

impl Peer {
    async fn new(switch: &Switch) -> Self {
        Self(UnixStream::connect(switch.path()).await.unwrap())
    }

    async fn send(&mut self, to: Address, from: Address, word: u8) {
        let mut wire = 15_u32.to_be_bytes().to_vec();
        wire.extend(to);
        wire.extend(from);
        wire.extend([8, 0, word]);
        self.0.write_all(&wire).await.unwrap();
    }

    /// The word of the next frame.
    async fn hear(&mut self) -> u8 {
        let frame = async {
            let length = self.0.read_u32().await.unwrap() as usize;
            let mut frame = vec![0; length];
            self.0.read_exact(&mut frame).await.unwrap();
            frame[14]
        };
        timeout(DEADLINE, frame).await.unwrap()
    }
}

/// Three machines that have been heard, so that frames find their way.
async fn three() -> (tempfile::TempDir, Switch, [Peer; 3]) {
    let folder = tempfile::tempdir().unwrap();
    let switch = Switch::open(&folder.path().join("s")).unwrap();
    let mut peers = [
        Peer::new(&switch).await,
        Peer::new(&switch).await,
        Peer::new(&switch).await,
    ];
    for (nth, address) in [A, B, C].into_iter().enumerate() {
        // Until the others are connected a frame for all reaches nobody.
        let heard = async {
            loop {
                let before = switch.traffic().passed;
                peers[nth].send(ALL, address, 0).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
                if switch.traffic().passed == before + 2 {
                    return;
                }
            }
        };
        timeout(DEADLINE, heard).await.unwrap();
    }
    (folder, switch, peers)
}

/// The next word other than those of the greeting.
async fn word(peer: &mut Peer) -> u8 {
    loop {
        match peer.hear().await {
            0 => {}
            word => return word,
        }
    }
}

#[tokio::test]
async fn frames_go_to_whom_they_are_for_and_a_cut_link_passes_none() {
    let (_folder, switch, [mut a, mut b, mut c]) = three().await;
    a.send(B, A, 1).await;
    assert_eq!(word(&mut b).await, 1);
    a.send(C, A, 2).await;
    // The first frame was not C's.
    assert_eq!(word(&mut c).await, 2);
    switch.set(
        B,
        Link {
            cut: true,
            ..Link::default()
        },
    );
    a.send(B, A, 3).await;
    b.send(A, B, 4).await;
    a.send(C, A, 5).await;
    assert_eq!(word(&mut c).await, 5, "only B is cut off");
    let both = async {
        while switch.traffic().cut < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(DEADLINE, both).await.unwrap();
    switch.set(B, Link::default());
    a.send(B, A, 6).await;
    assert_eq!(word(&mut b).await, 6, "healed, and what was cut is gone");
}

#[tokio::test]
async fn frames_are_late_in_order_and_lost_by_share() {
    let (_folder, switch, [mut a, mut b, mut c]) = three().await;
    let delay = Duration::from_millis(100);
    switch.set(
        A,
        Link {
            delay,
            ..Link::default()
        },
    );
    let sent = Instant::now();
    a.send(B, A, 1).await;
    a.send(B, A, 2).await;
    assert_eq!((word(&mut b).await, word(&mut b).await), (1, 2));
    assert!(sent.elapsed() >= delay, "{:?}", sent.elapsed());
    switch.set(
        C,
        Link {
            loss: 0.5,
            ..Link::default()
        },
    );
    let before = switch.traffic();
    for _ in 0..200 {
        b.send(C, B, 7).await;
    }
    let through = async {
        loop {
            let now = switch.traffic();
            if now.passed + now.lost == before.passed + before.lost + 200 {
                return now.lost - before.lost;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    // The numbers drawn are always the same.
    let lost = timeout(DEADLINE, through).await.unwrap();
    assert!((70..130).contains(&lost), "{lost} of 200");
    assert_eq!(word(&mut c).await, 7);
}

#[tokio::test]
async fn nonsense_ends_one_connection_only() {
    let (_folder, switch, [mut a, mut b, mut c]) = three().await;
    c.0.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
    let closed = async { while c.0.read_u8().await.is_ok() {} };
    timeout(DEADLINE, closed).await.unwrap();
    a.send(B, A, 1).await;
    assert_eq!(word(&mut b).await, 1);
    let path = switch.path().to_owned();
    drop(switch);
    assert!(!path.exists());
    let ended = async { while b.0.read_u8().await.is_ok() {} };
    timeout(DEADLINE, ended).await.unwrap();
}
