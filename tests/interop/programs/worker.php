<?php
// A worker on php-gearman: worker.php HOST PORT PREFIX. What its functions do is told in ../README.md.

[, $host, $port, $prefix] = $argv;

function shout(GearmanJob $job): string
{
    $job->sendStatus(1, 4);
    $job->sendData("part");
    $job->sendWarning("careful");
    return strtoupper($job->workload());
}

function raise(GearmanJob $job): void
{
    $job->sendException("it broke");
}

function refuse(GearmanJob $job): void
{
    $job->sendFail();
}

$worker = new GearmanWorker();
$worker->addServer($host, (int) $port);
foreach (["shout", "raise", "refuse"] as $function) {
    $worker->addFunction("$prefix-$function", $function);
}
// work() is false after a failed job, too.
while ($worker->work() || $worker->returnCode() === GEARMAN_WORK_FAIL || $worker->returnCode() === GEARMAN_WORK_EXCEPTION) {
}
fwrite(STDERR, "work: " . $worker->error() . "\n");
exit(1);
