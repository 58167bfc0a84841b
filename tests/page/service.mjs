// The example service, as a process of its own.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export async function start(program) {
  // A store of its own, whatever the machine has.
  const { REDIS_URL, ...env } = process.env;
  const child = spawn(program, [], { env: { ...env, PORT: "0" }, stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));
  const printed = new Promise((resolve) => createInterface(child.stdout).once("line", resolve));
  const first = await Promise.race([printed, ended, new Promise((resolve) => setTimeout(resolve, 20_000).unref())]);
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(first)?.[0];
  if (!url) {
    child.kill("SIGKILL");
    throw new Error(`the service did not start: ${JSON.stringify(first)}`);
  }
  return {
    url,
    // Ctrl-C. Says how it ended.
    interrupt: () => {
      child.kill("SIGINT");
      return ended;
    },
    kill: () => child.kill("SIGKILL"),
  };
}
