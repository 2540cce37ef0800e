// shifted-clock.cjs - a host whose wall clock is wrong by SHUNT_TEST_CLOCK_MS: network namespaces share one clock.

const shift = Number(process.env.SHUNT_TEST_CLOCK_MS);
const now = Date.now;
Date.now = () => now() + shift;
