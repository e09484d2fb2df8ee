#!/usr/bin/env python3
"""Writes the files of this folder, each broken in one way (or valid, though unusual), and expected.txt: for each of them what the
error must say. tests/io/corpus.cpp reads them all, and the fuzz targets begin with them. Needs Python 3 alone.

A line of expected.txt is a name, a tab, and a part of the error's sentence, or "valid". A name ending in "/" is the folder of a
checkpoint."""
import json
import pathlib
import shutil
import struct

here = pathlib.Path(__file__).resolve().parent
lines = []


def heading(text):
    lines.append(f"# {text}")


def put(name, data, says):
    path = here / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    if says is not None:
        lines.append(f"{name}\t{says}")


def raw(length, header, data=b""):
    """A file whose first 8 bytes say `length`, whatever the header is."""
    return struct.pack("<Q", length) + (header if isinstance(header, bytes) else header.encode()) + data


def file(header, size=0):
    """A file of that header and `size` bytes 0, 1, 2, ..."""
    header = header if isinstance(header, bytes) else header.encode()
    return raw(len(header), header, bytes(k % 256 for k in range(size)))


def entry(name="a", dtype="U8", shape="[4]", offsets="[0,4]"):
    return f'"{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}'


def tensors(name, says, *entries, size=4):
    put(name + ".safetensors", file("{" + ",".join(entries) + "}", size), says)


def one(file_name, says, /, size=4, **parts):
    tensors(file_name, says, entry(**parts), size=size)


def header(name, says, text, size=0):
    put(name + ".safetensors", file(text, size), says)


for old in here.iterdir():  # so that no file stays that the list does not name
    if old.is_dir():
        shutil.rmtree(old)
    elif old.suffix in (".safetensors", ".json"):
        old.unlink()

heading("valid, though unusual")
header("misaligned", "valid", '{"test":{"dtype":"I32","shape":[2,2],"data_offsets":[0,16]}}', 16)
header("no_tensors", "valid", "{}")
header("padded", "valid", "{}" + " " * 6)
header("metadata_null", "valid", '{"__metadata__":null}')
tensors("empty_between", "valid", entry(), entry("b", "F32", "[3,0]", "[4,4]"), entry("c", offsets="[4,8]"), size=8)
tensors("any_order", "valid", entry("z", offsets="[4,8]"), entry("a"), size=8)
one("scalar", "valid", shape="[]", offsets="[0,1]", size=1)
one("sixteen_axes", "valid", shape="[" + ",".join(["1"] * 16) + "]", offsets="[0,1]", size=1)
one("path_as_name", "valid", name="../../etc/\\u0000\\n")
one("unknown_member", "valid", shape='[4],"note":{"k":1.5e-3}')
one("packed", "valid", dtype="F4", shape="[2,4]")
nan = '{"nan":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
put("not_finite.safetensors", raw(len(nan), nan, struct.pack("<ff", float("nan"), float("inf"))), "valid")

heading("valid adapters, from which the fuzzer goes on")


def adapter(name, metadata="", **shapes):
    """Tensors of U8 by name and shape."""
    entries, at = [metadata] if metadata else [], 0
    for tensor, shape in shapes.items():
        size = 1
        for extent in shape:
            size *= extent
        entries.append(entry(tensor, shape=json.dumps(shape), offsets=f"[{at},{at + size}]"))
        at += size
    tensors(name, "valid", *entries, size=at)


adapter("adapter_diffusers", '"__metadata__":{"lora_adapter_metadata":"{\\"transformer.r\\":2,\\"transformer.lora_alpha\\":4,'
        '\\"transformer.rank_pattern\\":{\\"^a\\\\\\\\.b\\":2}}"}',
        **{"transformer.a.b.lora_A.weight": [2, 3], "transformer.a.b.lora_B.weight": [4, 2]})
adapter("adapter_kohya", **{"lora_unet_a_b.lora_down.weight": [2, 3, 1, 1], "lora_unet_a_b.lora_up.weight": [4, 2, 1, 1],
                            "lora_unet_a_b.alpha": []})
adapter("adapter_split", **{"diffusion_model.a.lora_down.0.weight": [2, 3], "diffusion_model.a.lora_up.0.weight": [4, 2],
                            "diffusion_model.a.lora_down.1.weight": [2, 3], "diffusion_model.a.lora_up.1.weight": [4, 2]})
adapter("adapter_hy_wu", **{"model.layers.0.q.lora_A": [1, 2, 3], "model.layers.0.q.lora_B": [1, 4, 2],
                            "model.layers.0.w1.lora_A": [1, 2, 2, 3], "model.layers.0.w1.lora_B": [1, 2, 4, 2], "scale": []})

heading("1: the length and the file's size")
put("empty_file.safetensors", b"", "the file is empty")
put("seven_bytes.safetensors", b"\2\0\0\0\0\0\0", "at least 8 bytes, found 7")
put("length_alone.safetensors", raw(2, ""), "expected a header of 2 bytes, found 0")
put("length_all_ones.safetensors", raw(2**64 - 1, "{}"), "at most 100000000 bytes, found 18446744073709551615")
put("length_2_63.safetensors", raw(2**63, "{}"), "at most 100000000 bytes, found 9223372036854775808")
put("length_over_limit.safetensors", raw(100_000_001, "{}"), "at most 100000000 bytes, found 100000001")
put("length_at_limit.safetensors", raw(100_000_000, "{}"), "expected a header of 100000000 bytes, found 2")
put("length_is_file_size.safetensors", raw(10, "{}"), "expected a header of 10 bytes, found 2")
put("length_one_more.safetensors", raw(3, "{}"), "expected a header of 3 bytes, found 2")
put("length_zero.safetensors", raw(0, ""), "expected '{' at byte 0 of the header")
put("big_endian.safetensors", struct.pack(">Q", 2) + b"{}", "at most 100000000 bytes, found 144115188075855872")
put("pickle.safetensors", b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01K\x01s.", "is this a safetensors file?")
put("zip.safetensors", b"PK\3\4\x14\0\0\0\0\0\0\0\0\0", "expected a header")

heading("2: UTF-8 that begins with a brace")
header("white_space_first", "expected '{' at byte 0", " {}")
header("byte_order_mark", "expected '{' at byte 0", "\ufeff{}")
header("array_first", "expected '{' at byte 0", "[]")
for kind, bad in {"continuation_alone": b"\x80", "overlong_slash": b"\xc0\xaf", "overlong_three": b"\xe0\x80\xaf",
                  "surrogate": b"\xed\xa0\x80", "beyond_unicode": b"\xf4\x90\x80\x80", "cut_off": b"\xe2\x82",
                  "byte_ff": b"\xff"}.items():
    put(f"utf8_{kind}.safetensors", file(b"{" + entry("a@").encode().replace(b"@", bad) + b"}", 4),
        "expected UTF-8 at byte 3 of the header")
put("utf8_in_padding.safetensors", file(b"{}\xa0"), "expected UTF-8 at byte 2")

heading("3: one JSON object, shallow, each name once")
header("two_objects", "nothing but white space after the object", "{}{}")
header("nul_after", "nothing but white space after the object", "{}\0")
header("not_closed", "found the end of the header", "{" + entry(), 4)
header("string_not_closed", "expected the end of a string", '{"a')
header("comma_at_end", "expected a tensor's name in double quotes", "{" + entry() + ",}", 4)
header("comment", "expected a tensor's name in double quotes", "{/*" + entry() + "*/}", 4)
header("single_quotes", "expected a tensor's name in double quotes", "{'a':1}")
header("bare_newline_in_name", "no bare control character in a string", "{" + entry("a\nb") + "}", 4)
header("escape_unknown", "after a backslash", "{" + entry("\\x41") + "}", 4)
header("escape_short", "four hexadecimal digits", '{"\\u12')
header("surrogate_alone", "expected surrogates in pairs", "{" + entry("\\ud800") + "}", 4)
header("surrogates_reversed", "expected surrogates in pairs", "{" + entry("\\udc00\\ud800") + "}", 4)
tensors("name_twice", 'expected each name once, found "a" twice', entry(), entry("a", offsets="[4,8]"), size=8)
tensors("name_twice_escaped", 'expected each name once, found "a" twice', entry(), entry("\\u0061", offsets="[4,8]"), size=8)
header("member_twice", 'expected each name once, found "dtype" twice',
       '{"a":{"dtype":"U8","dtype":"I8","shape":[4],"data_offsets":[0,4]}}', 4)
header("offsets_twice", 'expected each name once, found "data_offsets" twice',
       '{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"data_offsets":[0,4]}}', 4)
header("unknown_member_twice", 'expected each name once, found "x" twice',
       '{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"x":1,"x":1}}', 4)
header("metadata_twice", 'expected each name once, found "__metadata__" twice', '{"__metadata__":{},"__metadata__":{}}')
header("metadata_key_twice", 'expected each name once, found "k" twice', '{"__metadata__":{"k":"1","k":"2"}}')
header("nested_10000", 'expected an object with dtype, shape and data_offsets', '{"a":' + "[" * 10000 + "]" * 10000 + "}")
header("nested_in_unknown", "at most 3 levels", "{" + entry(shape='[4],"x":' + "[" * 5000 + "]" * 5000) + "}", 4)
header("nested_fourth_level", "at most 3 levels", "{" + entry(shape='[4],"x":{"y":[1]}') + "}", 4)

heading("4: entries, types and integers")
header("entry_null", "expected an object with dtype, shape and data_offsets", '{"a":null}')
header("entry_array", "expected an object with dtype, shape and data_offsets", '{"a":["U8",[4],[0,4]]}', 4)
for member, parts in {"dtype": '"shape":[4],"data_offsets":[0,4]', "shape": '"dtype":"U8","data_offsets":[0,4]',
                      "data_offsets": '"dtype":"U8","shape":[4]'}.items():
    header(f"no_{member}", f'expected the member "{member}", found none', '{"a":{' + parts + "}}", 4)
one("dtype_lower_case", 'expected a dtype such as "F32" or "BF16", found "f32"', dtype="f32", shape="[1]")
one("dtype_unknown", 'found "FLOAT"', dtype="FLOAT", shape="[1]")
header("dtype_number", "expected the dtype in double quotes", '{"a":{"dtype":8,"shape":[4],"data_offsets":[0,4]}}', 4)
one("shape_no_array", "expected the shape as an array", shape="4")
one("extent_negative", "expected an extent as a plain decimal integer", shape="[-1]")
one("extent_fraction", "expected an extent as a plain decimal integer", shape="[1.0]")
one("extent_exponent", "expected an extent as a plain decimal integer", shape="[1e1]")
one("extent_string", "expected an extent as a plain decimal integer", shape='["4"]')
one("extent_plus", "expected an extent as a plain decimal integer", shape="[+4]")
one("extent_leading_zero", 'without leading zeros, found "04"', shape="[04]")
one("extent_2_63", "expected an extent below 2^63", shape="[9223372036854775808]")
one("extent_huge", "expected an extent below 2^63", shape="[" + "9" * 400 + "]")
one("offset_negative", "expected an offset as a plain decimal integer", offsets="[-4,0]")
one("offset_true", "expected an offset as a plain decimal integer", offsets="[true,4]")
one("offsets_one", "expected two data_offsets, found fewer", offsets="[4]")
one("offsets_three", "expected two data_offsets, found more", offsets="[0,4,8]")
one("seventeen_axes", "expected at most 16 axes, found more", shape="[" + ",".join(["1"] * 17) + "]")

heading("5: the bytes of a shape")
one("product_overflows", "expected a whole number of bytes below 2^60", shape="[4294967296,4294967296]")
one("product_wraps_to_four", "expected a whole number of bytes below 2^60", shape="[4611686018427387905,4]")
one("zero_hides_overflow", "expected a whole number of bytes below 2^60", shape="[0,9223372036854775807,4]", offsets="[0,0]", size=0)
one("half_a_byte", "expected a whole number of bytes below 2^60", dtype="F4", shape="[3]", offsets="[0,2]", size=2)
one("six_bits", "expected a whole number of bytes below 2^60", dtype="F6_E2M3", shape="[2]", offsets="[0,2]", size=2)
one("too_few_bytes", "expected 4 bytes for F32 [1], found data_offsets [0, 3]", dtype="F32", shape="[1]", offsets="[0,3]", size=3)
one("too_many_bytes", "expected 4 bytes for U8 [4], found data_offsets [0, 8]", offsets="[0,8]", size=8)
one("scalar_without_bytes", "expected 4 bytes for F32 []", dtype="F32", shape="[]", offsets="[0,0]", size=0)

heading("6: no hole, no overlap")
one("end_before_begin", "data_offsets in ascending order, found [4, 0]", offsets="[4,0]")
one("begin_not_zero", "expected its data to begin at byte 0", offsets="[1,5]", size=5)
tensors("hole", "found 8 (a hole)", entry(), entry("b", offsets="[8,12]"), size=12)
tensors("overlap", "found 4 (an overlap)", entry(shape="[8]", offsets="[0,8]"), entry("b", shape="[8]", offsets="[4,12]"), size=12)
tensors("alias", "found 0 (an overlap)", entry(), entry("b"))
tensors("empty_inside_another", "found 4 (an overlap)", entry(shape="[8]", offsets="[0,8]"),
        entry("b", shape="[0]", offsets="[4,4]"), size=8)

heading("7: the data and nothing but the data")
one("byte_missing", "expected 4 bytes of data after the header, found 3 (the file is cut off)", size=3)
one("byte_left_over", "expected 4 bytes of data after the header, found 5 (bytes that belong to no tensor)", size=5)
header("data_without_tensors", "expected 0 bytes of data after the header, found 1", "{}", 1)
one("terabytes_claimed", "expected 1099511627776 bytes of data after the header, found 4", shape="[1099511627776]",
    offsets="[0,1099511627776]")

heading("8: metadata")
header("metadata_number", 'expected a string as the metadata "n"', '{"__metadata__":{"n":1}}')
header("metadata_object", 'expected a string as the metadata "n"', '{"__metadata__":{"n":{}}}')
header("metadata_string", 'expected an object or null as "__metadata__"', '{"__metadata__":"pt"}')

heading("10: names are shown without doing anything")
one("name_moves_the_cursor", 'tensor "\\u{001b}[2J\\u{0007}\\u{202e}": expected', name="\\u001b[2J\\u0007\\u202e", shape="[5]")

heading("JSON texts that are no safetensors header")
valid_json = {"config.json": '{"rank": 16, "alpha": 64.0, "pg_mapping": {"b": {}, "a": {"type": "grouped"}}, "x": [null, true, false]}',
              "deep_enough.json": "[" * 32 + "]" * 32}
for name, text in valid_json.items():
    put("json/" + name, text, "valid")
for name, (text, says) in {
    "nothing": (" ", "expected a JSON value"),
    "too_deep": ("[" * 33 + "]" * 33, "expected at most 32 arrays and objects within one another"),
    "deep_10000": ("[" * 10000, "expected at most 32 arrays and objects within one another"),
    "deep_objects": ('{"a":' * 10000, "expected at most 32 arrays and objects within one another"),
    "name_twice": ('{"rank": 16, "rank": 8}', 'expected each name once, found "rank" twice'),
    "name_twice_inside": ('[{"x": {"a": 1, "\\u0061": 2}}]', 'expected each name once, found "a" twice'),
    "two_values": ("{} {}", "nothing but white space after the value"),
    "not_a_number": ('{"alpha": NaN}', "expected a JSON value"),
    "infinity": ('{"alpha": -Infinity}', "expected a JSON value"),
    "leading_zero": ('{"rank": 016}', "expected ',' or '}'"),
    "hexadecimal": ('{"rank": 0x10}', "expected ',' or '}'"),
    "no_digit_after_point": ('{"alpha": 1.}', "expected a JSON value"),
    "no_exponent": ('{"alpha": 1e}', "expected a JSON value"),
    "comma_at_end": ("[1,]", "expected a JSON value"),
    "word": ("True", "expected a JSON value"),
    "byte_order_mark": ("\ufeff{}", "expected a JSON value"),
    "not_closed": ('{"a": [1, 2', "expected ',' or ']'"),
    "surrogate_alone": ('"\\udfff"', "expected surrogates in pairs"),
}.items():
    put(f"json/{name}.json", text, says)
put("json/no_utf8.json", b'{"a": "\xff"}', "expected UTF-8 at byte 7")

heading("checkpoints of several files")
a = file("{" + entry("a") + "}", 4)
b = file("{" + entry("b") + "}", 4)
ab = file("{" + entry("a") + "," + entry("b", offsets="[4,8]") + "}", 8)
good = {"a": "a.safetensors", "b": "b.safetensors"}


def checkpoint(name, says, index, **shards):
    """A folder with an index (a text, or a weight_map) and shards a and b unless others are given."""
    text = index if isinstance(index, str) else json.dumps({"metadata": {"total_size": 8}, "weight_map": index})
    put(f"checkpoints/{name}/model.safetensors.index.json", text, None)
    for shard, data in {"a": a, "b": b, **shards}.items():
        if data is not None:
            put(f"checkpoints/{name}/{shard}.safetensors", data, None)
    lines.append(f"checkpoints/{name}/\t{says}")


checkpoint("good", "valid", good)
checkpoint("wrong_total", "valid", json.dumps({"metadata": {"total_size": 1e300}, "weight_map": good}))
checkpoint("in_both", "valid", {"a": "a.safetensors", "b": "b.safetensors"}, b=ab)
checkpoint("up", 'expected the name of a file in the same folder, found "../x.safetensors"', {**good, "a": "../x.safetensors"})
checkpoint("root", 'in the same folder, found "/etc/x.safetensors"', {**good, "a": "/etc/x.safetensors"})
checkpoint("inside", 'in the same folder, found "s/x.safetensors"', {**good, "a": "s/x.safetensors"})
checkpoint("backslash", 'in the same folder, found "..\\\\x.safetensors"', {**good, "a": "..\\x.safetensors"})
checkpoint("drive", 'in the same folder, found "C:x.safetensors"', {**good, "a": "C:x.safetensors"})
checkpoint("stream", 'in the same folder, found "a.safetensors:s.safetensors"', {**good, "a": "a.safetensors:s.safetensors"})
checkpoint("nul", 'in the same folder, found "a.safetensors\\u{0000}.safetensors"', {**good, "a": "a.safetensors\0.safetensors"})
checkpoint("no_name", 'in the same folder, found ""', {**good, "a": ""})
checkpoint("dot", 'in the same folder, found "."', {**good, "a": "."})
checkpoint("two_dots", 'in the same folder, found ".."', {**good, "a": ".."})
checkpoint("pickle", 'expected a file *.safetensors, found "pytorch_model.bin"', {**good, "a": "pytorch_model.bin"})
checkpoint("number", 'tensor "a": expected the name of a file, found', {**good, "a": 1})
checkpoint("null", 'tensor "a": expected the name of a file, found null', {**good, "a": None})
checkpoint("map_is_array", 'expected an object as "weight_map", found an array', '{"weight_map": ["a.safetensors"]}')
checkpoint("no_map", 'expected the member "weight_map", found none', '{"metadata": {"total_size": 8}}')
checkpoint("name_twice", 'expected each name once, found "a" twice',
           '{"weight_map": {"a": "a.safetensors", "a": "b.safetensors", "b": "b.safetensors"}}')
checkpoint("map_twice", 'expected each name once, found "weight_map" twice',
           '{"weight_map": {"a": "a.safetensors"}, "weight_map": {"b": "b.safetensors"}}')
checkpoint("cut_off_index", "expected the end of a string", '{"weight_map": {"a": "a.safe')
checkpoint("deep_index", "expected at most 32 arrays and objects", '{"weight_map": ' + '{"a":' * 1000)
checkpoint("missing_shard", "No such file", good, b=None)
checkpoint("wrong_shard", 'tensor "b": expected it in the file "a.safetensors", found none', {**good, "b": "a.safetensors"})
checkpoint("missing_tensor", 'tensor "c": expected it in the file "b.safetensors", found none', {**good, "c": "b.safetensors"})
checkpoint("surplus_tensor", 'tensor "b": expected a tensor that the index', {"a": "a.safetensors"}, a=ab, b=None)
checkpoint("cut_off_shard", "(the file is cut off)", good, b=b[:-1])
checkpoint("broken_shard", "expected '{' at byte 0", good, b=file(" {}"))
checkpoint("empty_shard", "the file is empty", good, b=b"")
checkpoint("longer_shard", "(bytes that belong to no tensor)", good, b=b + b"\0")

(here / "expected.txt").write_text("\n".join(lines) + "\n")
cases = [line for line in lines if not line.startswith("#")]
print(len(cases), "files,", sum(not line.endswith("\tvalid") for line in cases), "broken")
