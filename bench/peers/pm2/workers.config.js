// Ten workers, restarted whenever they end.
module.exports = {
  apps: Array.from({ length: 10 }, (_, number) => ({
    name: `worker-${number}`,
    script: '/usr/local/bin/worker',
    args: [`/run/bench/${number}`],
    interpreter: 'none',
  })),
};
