/** What we need of a request or an answer and the SDK does not model, as plug-ins for one command. */
import type {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';

type PluginOf<Command extends { middlewareStack: { use(plugin: never): void } }> = Parameters<
  Command['middlewareStack']['use']
>[0];

/** Headers as they go over the wire, by lower-case name. */
export type WireHeaders = Readonly<Record<string, string>>;

/** Sends these headers too, signed. Conditions go this way, since the SDK knows only some of them, on some commands. */
export function sendHeaders(headers: WireHeaders): PluginOf<PutObjectCommand> {
  return {
    applyToStack(stack) {
      stack.add(
        (next) => (args) => {
          const { request } = args;
          /* v8 ignore else -- the SDK does not type what it hands to a plug-in; it is a request */
          if (hasHeaders(request)) Object.assign(request.headers, headers);
          return next(args);
        },
        { step: 'build', name: 'sendHeaders' },
      );
    },
  };
}

/** Google Cloud Storage's number of an object's content, from the answer to a command; undefined elsewhere. */
export function watchGeneration(command: GetObjectCommand | HeadObjectCommand | PutObjectCommand) {
  let generation: string | undefined;
  const plugin: PluginOf<PutObjectCommand> = {
    applyToStack(stack) {
      stack.add(
        (next) => async (args) => {
          const result = await next(args);
          /* v8 ignore else -- nor here; it is an answer */
          if (hasHeaders(result.response)) generation = result.response.headers['x-goog-generation'];
          return result;
        },
        { step: 'deserialize', name: 'watchGeneration' },
      );
    },
  };
  command.middlewareStack.use(plugin);
  return () => (generation === undefined ? {} : { generation });
}

/**
 * Leaves out the location that the SDK puts into a request for a new bucket: AWS wants it, others refuse a
 * region that they do not know.
 */
export const omitLocation: PluginOf<CreateBucketCommand> = {
  applyToStack(stack) {
    stack.add(
      (next) => (args) => {
        if ('CreateBucketConfiguration' in args.input) delete args.input.CreateBucketConfiguration;
        return next(args);
      },
      // After the SDK's own, which puts it there.
      { step: 'initialize', priority: 'low', name: 'omitLocation' },
    );
  },
};

function hasHeaders(message: unknown): message is { headers: Record<string, string> } {
  /* v8 ignore next -- as above */
  return (
    typeof message === 'object' &&
    message !== null &&
    'headers' in message &&
    typeof message.headers === 'object'
  );
}
