// Worker threads, each with an event loop, that talk to a server of the main thread.
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const fs = require('fs');
const net = require('net');

function serve() {
  let ended = 0;
  let sum = 0;
  const server = net.createServer((client) => {
    client.on('data', (data) => client.end(String(2 * Number(data))));
  });
  server.listen(0, '127.0.0.1', () => {
    for (let number = 1; number <= 4; ++number) {
      const worker = new Worker(__filename, { workerData: { number, port: server.address().port } });
      worker.on('message', (answer) => (sum += answer));
      worker.on('exit', () => {
        if (++ended < 4) return;
        server.close();
        fs.readFile(__filename, () => console.log('sum', sum));
      });
    }
  });
}

function ask() {
  const socket = net.connect(workerData.port, '127.0.0.1', () => {
    socket.write(String(workerData.number));
  });
  socket.on('data', (data) => parentPort.postMessage(Number(data)));
}

if (isMainThread) serve();
else ask();
