<?php
// The guestbook's data as JSON: ?cmd=set&key=K&value=V writes through the service redis-master,
// ?cmd=get&key=K reads through the service redis-slave.
declare(strict_types=1);

require __DIR__ . '/hosts.php';

header('Content-Type: application/json');
header('X-Served-By: ' . gethostname());

function parameter(string $name): string
{
    $value = $_REQUEST[$name] ?? '';
    return is_string($value) ? $value : '';
}

function answer(int $status, array $body): void
{
    http_response_code($status);
    echo json_encode($body, JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE), "\n";
}

try {
    $key = parameter('key');
    switch (parameter('cmd')) {
        case 'set':
            redis_of('redis-master')->set($key, parameter('value'));
            answer(200, ['message' => 'Updated']);
            break;
        case 'get':
            $value = redis_of('redis-slave')->get($key);
            answer(200, ['data' => $value === false ? '' : $value]);
            break;
        default:
            answer(400, ['error' => 'cmd must be "get" or "set"']);
    }
} catch (RedisException | RuntimeException $error) {
    answer(503, ['error' => $error->getMessage()]);
}
