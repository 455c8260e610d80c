<?php
// Where the frontend finds Redis: GET_HOSTS_FROM is "env" (the services' environment variables,
// the default) or "dns" (the services' names), as in the Kubernetes guide.
declare(strict_types=1);

function redis_host(string $service): string
{
    if (getenv('GET_HOSTS_FROM') === 'dns') {
        return $service;
    }
    $variable = strtoupper(str_replace('-', '_', $service)) . '_SERVICE_HOST';
    $host = getenv($variable);
    if ($host === false || $host === '') {
        throw new RuntimeException("$variable is not set, and GET_HOSTS_FROM is not dns");
    }
    return $host;
}

function redis_of(string $service): Redis
{
    $redis = new Redis();
    $redis->connect(redis_host($service), 6379, 2.0);
    $redis->setOption(Redis::OPT_READ_TIMEOUT, 2.0);
    return $redis;
}
