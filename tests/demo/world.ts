import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Home, type HomeStore, makeHome, type Running, STAND_IN_PROXY } from '../support/bundle.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { bucketFromOutside, directoryFromOutside, type OutsideStore } from '../support/outside.ts';
import { freePort } from '../support/programs.ts';
import { findWeed, startSeaweedFs } from '../support/seaweedfs.ts';

/** Two hosts, one store, and what stands between them. */
export interface World {
  readonly root: string;
  readonly laptop: Home;
  readonly server: Home;
  readonly store: OutsideStore;
  /** The laptop's network; undefined where the store is a directory. */
  readonly network: FaultProxy | undefined;
  /** CLIPROXY_BIN, if it names the real proxy. */
  readonly realProxy: string | undefined;
  /** Programs that are to end when the demo does, however it ends. */
  watch(running: Running): Running;
  /** Whether a signal ended it: what fails then is no failure. */
  interrupted(): boolean;
  /** Ends every process and removes every file of the demo. May be called twice. */
  close(): Promise<void>;
}

export async function makeWorld(): Promise<World> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'cliproxyapi-sync-demo-')));
  const cleanUps: (() => Promise<unknown> | unknown)[] = [() => rm(root, { recursive: true, force: true })];
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= (async () => {
      for (const cleanUp of cleanUps.reverse()) await cleanUp();
    })();
    return closing;
  };
  let isInterrupted = false;
  const interrupted = (signal: NodeJS.Signals) => {
    isInterrupted = true;
    process.stdout.write(`\n   ${signal}: cleaning up\n`);
    void close().finally(() => process.exit(signal === 'SIGINT' ? 130 : 143));
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, interrupted);

  try {
    const weed = process.env.DEMO_STORE === 'directory' ? undefined : findWeed();
    const realProxy = process.env.CLIPROXY_BIN?.trim() || undefined;
    const template = `host: 127.0.0.1\nport: ${await freePort()}\n`;
    const common = { template, proxy: realProxy ?? STAND_IN_PROXY };
    let network: FaultProxy | undefined;
    let store: OutsideStore;
    let stores: { readonly laptop: HomeStore; readonly server: HomeStore };
    if (weed === undefined) {
      const shared = { kind: 'directory', path: join(root, 'shared-folder') } as const;
      stores = { laptop: shared, server: shared };
      store = directoryFromOutside(shared.path);
    } else {
      const seaweed = await startSeaweedFs(weed);
      cleanUps.push(seaweed.stop);
      network = await startFaultProxy(seaweed.endpoint, seaweed.admin.secretKey);
      cleanUps.push(network.stop);
      const bucket = {
        kind: 's3',
        endpoint: seaweed.endpoint,
        bucket: 'credentials',
        ...seaweed.admin,
      } as const;
      stores = { laptop: { ...bucket, endpoint: network.endpoint }, server: bucket };
      store = bucketFromOutside(bucket);
    }
    cleanUps.push(store.close);
    return {
      root,
      laptop: await makeHome(root, 'laptop', { ...common, store: stores.laptop }),
      server: await makeHome(root, 'server', { ...common, store: stores.server }),
      store,
      network,
      realProxy,
      watch(running) {
        cleanUps.push(() => running.kill('SIGKILL'));
        return running;
      },
      interrupted: () => isInterrupted,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
