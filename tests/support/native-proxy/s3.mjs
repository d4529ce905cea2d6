/**
 * internal/store/objectstore.go. The requests of a start, as the real program was seen to make them: location of the bucket, HEAD bucket, HEAD
 * config, GET config, LIST auths/ (V2, no delimiter), GET of every key; of a save PUT, of a removal DELETE; none of them
 * under a condition. Keys below `auths/` of any name are downloaded; local files are overwritten, none is removed.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetBucketLocationCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';

const CONFIG = 'config/config.yaml';

export function open({ variable, exampleConfig, at, slow }) {
  const endpoint = variable('OBJECTSTORE_ENDPOINT');
  const client = new S3Client({
    endpoint: endpoint.includes('://') ? endpoint : `https://${endpoint}`,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: {
      accessKeyId: variable('OBJECTSTORE_ACCESS_KEY'),
      secretAccessKey: variable('OBJECTSTORE_SECRET_KEY'),
    },
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  const Bucket = variable('OBJECTSTORE_BUCKET');
  const root = join(variable('OBJECTSTORE_LOCAL_PATH') ?? process.cwd(), 'objectstore');
  const authDir = join(root, 'auths');
  const configPath = join(root, CONFIG);
  const isThere = (answer) =>
    answer.then(
      () => true,
      (error) => {
        if (error.$metadata?.httpStatusCode === 404) return false;
        throw error;
      },
    );
  const get = async (Key) => {
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
    return Buffer.from(await Body.transformToByteArray());
  };
  const put = (Key, Body, ContentType) =>
    Body.length === 0
      ? client.send(new DeleteObjectCommand({ Bucket, Key }))
      : client.send(new PutObjectCommand({ Bucket, Key, Body, ContentType }));

  return {
    authDir,
    configPath,
    async bootstrap() {
      for (const path of [join(root, 'config'), authDir]) mkdirSync(path, { recursive: true, mode: 0o700 });
      await at('connect');
      await isThere(client.send(new GetBucketLocationCommand({ Bucket })));
      if (!(await isThere(client.send(new HeadBucketCommand({ Bucket })))))
        await client.send(new CreateBucketCommand({ Bucket }));
      if (await isThere(client.send(new HeadObjectCommand({ Bucket, Key: CONFIG })))) {
        const text = (await get(CONFIG)).toString().replace(/\r\n?/g, '\n');
        writeFileSync(configPath, text, { mode: 0o600 });
      } else {
        if (!existsSync(configPath)) exampleConfig(configPath);
        await put(CONFIG, readFileSync(configPath), 'application/x-yaml');
      }
      await at('config');
      const keys = [];
      let token;
      do {
        const page = await client.send(
          new ListObjectsV2Command({ Bucket, Prefix: 'auths/', ContinuationToken: token }),
        );
        keys.push(...(page.Contents ?? []).map(({ Key }) => Key));
        token = page.NextContinuationToken;
      } while (token);
      await at('list');
      for (const [index, key] of keys.entries()) {
        if (key.endsWith('/')) continue;
        if (index === keys.length >> 1) await at('fill');
        await slow();
        const local = join(authDir, key.slice('auths/'.length));
        mkdirSync(dirname(local), { recursive: true, mode: 0o700 });
        writeFileSync(local, await get(key), { mode: 0o600 });
      }
    },
    async persist(_message, path) {
      const Key = `auths/${relative(authDir, path)}`;
      if (existsSync(path)) await put(Key, readFileSync(path), 'application/json');
      else await client.send(new DeleteObjectCommand({ Bucket, Key }));
    },
  };
}
