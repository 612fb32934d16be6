/** The generated description of a protobuf message, as the decoder reads it and the generator writes it. */
export interface ProtoField {
  number: number;
  type:
    | 'string'
    | 'bool'
    | 'int'
    | 'double'
    | 'bytes'
    | 'message'
    // Messages that have a form of their own in JSON:
    | 'quantity'
    | 'intOrString'
    | 'time'
    | 'microtime'
    | 'duration'
    /** Bytes that hold JSON. */
    | 'raw'
    /** A message that only wraps a list of strings. */
    | 'strings'
    | 'schemaOrBool'
    | 'schemaOrArray'
    | 'schemaOrStrings';
  container?: 'list' | 'map';
  /** A zero that was sent is kept. */
  pointer?: true;
  /** The message's fields belong to the type that holds it. */
  inline?: true;
  /** The message's name, for example `core.v1.PodSpec`. */
  ref?: string;
}

/** Fields by their JSON name. */
export type ProtoMessage = Record<string, ProtoField>;
