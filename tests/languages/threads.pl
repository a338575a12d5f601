# Interpreter threads, a queue between them, and a server of sockets.
use strict;
use warnings;
use threads;
use threads::shared;
use Thread::Queue;
use IO::Socket::INET;

my $queue = Thread::Queue->new;
my $sum : shared = 0;
my $server = IO::Socket::INET->new(Listen => 50, LocalAddr => '127.0.0.1', Proto => 'tcp') or die $!;
my $port = $server->sockport;

sub ask {
  while (defined(my $number = $queue->dequeue)) {
    my $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port") or die $!;
    print $socket "$number\n";
    my $answer = <$socket>;
    lock($sum);
    $sum += $answer;
  }
}

sub answer {
  for (1 .. 40) {
    my $client = $server->accept or die $!;
    my $number = <$client>;
    print $client 2 * $number, "\n";
    close $client;
  }
}

my @askers = map { threads->create(\&ask) } 1 .. 4;
my $answerer = threads->create(\&answer);
$queue->enqueue(1 .. 40);
$queue->end;
$_->join for @askers;
$answerer->join;
print "sum $sum\n";
