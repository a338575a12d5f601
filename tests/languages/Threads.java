// Sockets, a pool of threads, and what the machine does with signals and guard pages: stack
// overflow, null pointers, stops for the garbage collector.
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

public class Threads {
  static final int COUNT = 100;

  static void answer(Socket socket) {
    try (socket) {
      int number = new DataInputStream(socket.getInputStream()).readInt();
      new DataOutputStream(socket.getOutputStream()).writeInt(2 * number);
    } catch (IOException e) {
      throw new RuntimeException(e);
    }
  }

  static void serve(ServerSocket server) {
    try {
      for (int i = 0; i < COUNT; ++i) {
        Socket socket = server.accept();
        new Thread(() -> answer(socket)).start();
      }
    } catch (IOException e) {
      throw new RuntimeException(e);
    }
  }

  static int ask(int port, int number) {
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
      new DataOutputStream(socket.getOutputStream()).writeInt(number);
      return new DataInputStream(socket.getInputStream()).readInt();
    } catch (IOException e) {
      throw new RuntimeException(e);
    }
  }

  static int recurse(int depth) {
    return recurse(depth + 1) + 1;
  }

  public static void main(String[] arguments) throws Exception {
    ServerSocket server = new ServerSocket(0, COUNT, InetAddress.getLoopbackAddress());
    Thread acceptor = new Thread(() -> serve(server));
    acceptor.start();
    AtomicLong sum = new AtomicLong();
    ExecutorService pool = Executors.newFixedThreadPool(20);
    for (int i = 1; i <= COUNT; ++i) {
      int number = i;
      pool.submit(() -> sum.addAndGet(ask(server.getLocalPort(), number)));
    }
    pool.shutdown();
    pool.awaitTermination(30, TimeUnit.SECONDS);
    acceptor.join();
    System.out.println("sum " + sum.get());
    try {
      recurse(0);
    } catch (StackOverflowError e) {
      System.out.println("stack overflow");
    }
    String nothing = null;
    try {
      nothing.length();
    } catch (NullPointerException e) {
      System.out.println("null pointer");
    }
    for (int i = 0; i < 2000; ++i) {
      byte[] garbage = new byte[100_000];
      garbage[i] = 1;
    }
    System.gc();
    System.out.println("garbage");
  }
}
