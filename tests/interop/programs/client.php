<?php
// A client on php-gearman: client.php HOST PORT PREFIX. What it says is told in ../README.md.

[, $host, $port, $prefix] = $argv;

$client = new GearmanClient();
$client->addServer($host, (int) $port);
$client->setTimeout(10000);
if (!$client->enableExceptionHandler()) {
    fwrite(STDERR, "exceptions: " . $client->error() . "\n");
    exit(1);
}
$client->setStatusCallback(function (GearmanTask $task) {
    echo "status ", $task->taskNumerator(), "/", $task->taskDenominator(), "\n";
});
$client->setDataCallback(function (GearmanTask $task) {
    echo "data ", $task->data(), "\n";
});
$client->setWarningCallback(function (GearmanTask $task) {
    echo "warning ", $task->data(), "\n";
});
$client->setCompleteCallback(function (GearmanTask $task) {
    echo "complete ", $task->data(), "\n";
});
$client->setExceptionCallback(function (GearmanTask $task) {
    echo "exception ", $task->data(), "\n";
});
$client->setFailCallback(function (GearmanTask $task) {
    echo "fail\n";
});
foreach (["shout", "raise", "refuse"] as $function) {
    $client->addTask("$prefix-$function", "hello");
    $client->runTasks();
}

$handle = $client->doBackground("$prefix-shout", "hello");
echo "background $handle\n";
do {
    usleep(10000);
    [$isKnown] = $client->jobStatus($handle);
} while ($isKnown);
echo "ended\n";
