# A worker on Gearman::Worker: worker.pl HOST PORT PREFIX. What its functions do is told in ../README.md.

use strict;
use warnings;
use Gearman::Worker;

my ($host, $port, $prefix) = @ARGV;
my $worker = Gearman::Worker->new(job_servers => ["$host:$port"]);

$worker->register_function(
    "$prefix-shout" => sub {
        my $job = shift;
        $job->set_status(1, 4);
        $worker->send_work_data($job, "part");
        $worker->send_work_warning($job, "careful");
        return uc($job->arg);
    }
);
# What a function dies of is sent frozen, for Perl alone; this is what other languages can read.
$worker->register_function("$prefix-raise" => sub { $worker->send_work_exception(shift, "it broke"); return });
$worker->register_function("$prefix-refuse" => sub { return });
$worker->work;
