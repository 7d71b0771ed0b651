# A client on Gearman::Client: client.pl HOST PORT PREFIX. What it says is told in ../README.md.

use strict;
use warnings;
use Gearman::Client;

$| = 1;
my ($host, $port, $prefix) = @ARGV;
my $client = Gearman::Client->new(job_servers => ["$host:$port"], exceptions => 1);

for my $function (qw(shout raise refuse)) {
    my $tasks = $client->new_task_set;
    $tasks->add_task(
        "$prefix-$function",
        "hello",
        {
            on_status    => sub { print "status $_[0]/$_[1]\n" },
            on_data      => sub { print "data ${ $_[0] }\n" },
            on_warning   => sub { print "warning ${ $_[0] }\n" },
            on_complete  => sub { print "complete ${ $_[0] }\n" },
            on_exception => sub { print "exception $_[0]\n" },
            on_fail      => sub { print "fail\n" },
        }
    );
    $tasks->wait(timeout => 10);
}

my $handle = $client->dispatch_background("$prefix-shout", "hello");
print "background ", $handle =~ s{^.*//}{}r, "\n";
my $status;
do {
    select(undef, undef, undef, 0.01);
    $status = $client->get_status($handle);
} while ($status && $status->known);
print "ended\n";
