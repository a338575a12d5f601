// Threads of Rust's standard library: sockets, channels, locks, panics, scopes.
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{mpsc, Arc, Barrier, Condvar, Mutex, RwLock};
use std::thread;
use std::time::Duration;

const CLIENTS: u32 = 200;

fn answer(mut stream: TcpStream) {
    let mut bytes = [0u8; 4];
    stream.read_exact(&mut bytes).unwrap();
    thread::sleep(Duration::from_millis(5));
    stream.write_all(&bytes).unwrap();
}

fn ask(address: SocketAddr, number: u32) -> u64 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&number.to_be_bytes()).unwrap();
    let mut bytes = [0u8; 4];
    stream.read_exact(&mut bytes).unwrap();
    u32::from_be_bytes(bytes) as u64
}

fn sockets() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        for stream in listener.incoming().take(CLIENTS as usize) {
            let stream = stream.unwrap();
            thread::spawn(move || answer(stream));
        }
    });
    let clients: Vec<_> = (0..CLIENTS).map(|i| thread::spawn(move || ask(address, i))).collect();
    let total: u64 = clients.into_iter().map(|client| client.join().unwrap()).sum();
    server.join().unwrap();
    println!("sockets {}", total);
}

fn channel() {
    let (sender, receiver) = mpsc::sync_channel(1);
    for k in 0..4 {
        let sender = sender.clone();
        thread::spawn(move || (0..100).for_each(|i| sender.send(k * 100 + i).unwrap()));
    }
    drop(sender);
    println!("channel {}", receiver.iter().sum::<i32>());
}

fn locks() {
    let barrier = Arc::new(Barrier::new(8));
    let lock = Arc::new(RwLock::new(0));
    let pair = Arc::new((Mutex::new(0), Condvar::new()));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (barrier, lock, pair) = (barrier.clone(), lock.clone(), pair.clone());
            thread::spawn(move || {
                barrier.wait();
                *lock.write().unwrap() += 1;
                *pair.0.lock().unwrap() += 1;
                pair.1.notify_all();
                thread::park_timeout(Duration::from_millis(1));
            })
        })
        .collect();
    let mut count = pair.0.lock().unwrap();
    while *count < 8 {
        count = pair.1.wait_timeout(count, Duration::from_secs(5)).unwrap().0;
    }
    drop(count);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    println!("locks {}", lock.read().unwrap());
}

fn main() {
    sockets();
    channel();
    locks();
    std::panic::set_hook(Box::new(|_| {}));
    println!("panic {}", thread::spawn(|| panic!()).join().is_err());
    let mut numbers = vec![1, 2, 3];
    thread::scope(|scope| {
        scope.spawn(|| numbers.push(4));
    });
    println!("scope {:?}", numbers);
}
