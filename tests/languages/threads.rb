# Threads under the interpreter's lock and in Ractors, sockets, time limits, children, signal traps.
require 'open3'
require 'socket'
require 'timeout'
Warning[:experimental] = false
Thread.report_on_exception = false

mutex = Mutex.new
count = 0
50.times.map { |i| Thread.new { 200.times { mutex.synchronize { count += 1 }; Thread.pass if i % 5 == 0 } } }.each(&:join)
puts "mutex #{count}"

work = Queue.new
done = Queue.new
workers = 8.times.map { Thread.new { while (x = work.pop) != :stop do done << x * 2 end } }
1000.times { |i| work << i }
8.times { work << :stop }
workers.each(&:join)
sum = 0
sum += done.pop until done.empty?
puts "queue #{sum}"

condition = ConditionVariable.new
waiting = 0
threads = 20.times.map { Thread.new { mutex.synchronize { waiting += 1; condition.wait(mutex) } } }
Thread.pass until mutex.synchronize { waiting == 20 }
mutex.synchronize { condition.broadcast }
threads.each(&:join)
puts "condition #{waiting}"

server = TCPServer.new('127.0.0.1', 0)
port = server.addr[1]
acceptor = Thread.new { 50.times { Thread.new(server.accept) { |c| c.puts(c.gets.to_i * 2); c.close } } }
answers = 50.times.map { |i| Thread.new { TCPSocket.open('127.0.0.1', port) { |c| c.puts i; c.gets.to_i } } }.map(&:value)
acceptor.join
puts "sockets #{answers.sum}"

reader, writer = IO.pipe
selecting = Thread.new { IO.select([reader], nil, nil, 30) ? reader.read(5) : 'nothing' }
writer << 'hello'
puts "select #{selecting.value}"
{ 'sleep' => -> { sleep 30 }, 'read' => -> { reader.read(1) }, 'loop' => -> { loop {} } }.each do |what, block|
  Timeout.timeout(0.05) { block.call }
rescue Timeout::Error
  puts "timeout of #{what}"
end

from, to = IO.pipe
child = fork do
  from.close
  Thread.new { to << 'child' }.join
  exit!(7)
end
to.close
puts "fork #{from.read} #{Process.wait2(child)[1].exitstatus}"
puts "spawn #{Process.wait2(Process.spawn('exit 3'))[1].exitstatus}"
output, status = Open3.capture2('cat', stdin_data: 'z' * 300_000)
puts "pipes #{output.size} #{status.exitstatus}"

got = Queue.new
trap('USR1') { Thread.new { got << 'USR1' } }
Process.kill('USR1', Process.pid)
puts "trap #{got.pop}"
ready, tell = IO.pipe
child = fork do
  trap('TERM') { exit!(5) }
  tell << 'x'
  sleep
end
ready.read(1)
Process.kill('TERM', child)
puts "TERM #{Process.wait2(child)[1].exitstatus}"

sleeper = Thread.new { sleep }
Thread.pass until sleeper.stop?
sleeper.raise(ArgumentError, 'raised')
begin
  sleeper.join
rescue ArgumentError => e
  puts e.message
end
sleeper = Thread.new { sleep }
sleeper.kill.join
puts "killed #{sleeper.status.inspect}"
puts "ractors #{4.times.map { |i| Ractor.new(i) { |x| (1..10_000).sum * x } }.map(&:take).sum}"
begin
  Thread.new { Queue.new.pop }.join
rescue Exception => e
  puts "deadlock #{e.class}"
end
GC.start
puts 'end'
