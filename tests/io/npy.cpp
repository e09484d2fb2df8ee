// .npy files: those that NumPy wrote, round trips, and files that are wrong in every way.
#include "wu/io/npy.hpp"

#include <boost/test/unit_test.hpp>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "io/support.hpp"

namespace {

using namespace wu;
using namespace wu::io;
using namespace wu::test;

const std::string fixtures = std::string(WU_TEST_DATA) + "/npy/";

/// The bytes of a file of version 1.0 with this header, whatever it says, and these values.
std::string npy_bytes(const std::string& header, const std::string& values, char version = 1) {
  std::string out = std::string("\x93NUMPY", 6) + version + '\0';
  const std::size_t n = header.size() + 1;
  out += static_cast<char>(n & 0xFF), out += static_cast<char>(n >> 8);
  if (version > 1) out += std::string(2, '\0');
  return out + header + '\n' + values;
}
template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}
std::string header(const std::string& descr, const std::string& order, const std::string& shape) {
  return "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(npy)

BOOST_AUTO_TEST_CASE(what_numpy_wrote) {
  const auto rows = load_npy<Tensor<float, dyn, 3>>(fixtures + "rows_f4.npy");
  BOOST_CHECK_EQUAL(rows.view().extent(0), 4);
  for (Index k = 0; k < 12; ++k) BOOST_CHECK_EQUAL(rows[k], static_cast<float>(k) / 4);
  const auto columns = load_npy<Tensor<double, 2, dyn, 4>>(fixtures + "columns_f8.npy", Access::copy);
  BOOST_CHECK_EQUAL(columns.view().extent(1), 3);
  for (Index k = 0; k < 24; ++k) BOOST_CHECK_EQUAL(columns[k], static_cast<double>(k) / 8);
  const auto integers = load_npy<Tensor<std::int64_t, dyn>>(fixtures + "i8.npy");
  BOOST_CHECK(std::vector<std::int64_t>(integers.span().begin(), integers.span().end()) ==
              (std::vector<std::int64_t>{-3, 0, std::int64_t{1} << 40}));
}

BOOST_AUTO_TEST_CASE(what_we_write_are_numpys_bytes) {
  const Folder folder;
  Tensor<float, dyn, 3> rows(4);
  for (Index k = 0; k < rows.size(); ++k) rows[k] = static_cast<float>(k) / 4;
  save_npy(folder / "rows.npy", rows);
  BOOST_CHECK(read_text(folder / "rows.npy") == read_text(fixtures + "rows_f4.npy"));
  Tensor<std::int64_t, 3> integers;
  integers[0] = -3, integers[2] = std::int64_t{1} << 40;
  save_npy(folder / "integers.npy", integers.view());
  BOOST_CHECK(read_text(folder / "integers.npy") == read_text(fixtures + "i8.npy"));
}

BOOST_AUTO_TEST_CASE(there_and_back) {
  const Folder folder;
  const std::string path = folder / "x.npy";
  Tensor<double, dyn, 1, dyn, 5> x(3, 7);
  for (Index k = 0; k < x.size(); ++k) x[k] = std::ldexp(1.0, static_cast<int>(k)) / 3;
  x[4] = std::nan(""), x[5] = std::numeric_limits<double>::infinity();
  save_npy(path, as_const(x.view()));
  const auto y = load_npy<Tensor<double, 3, 1, 7, 5>>(path);
  for (Index k = 0; k < x.size(); ++k) BOOST_CHECK(x[k] == y[k] || k == 4);
  BOOST_CHECK(std::isnan(y[4]));

  save_npy(path, Tensor<float, dyn, 3>(0));
  BOOST_CHECK_EQUAL((load_npy<Tensor<float, dyn, dyn>>(path).view().extent(1)), 3);

  Tensor<bfloat16, 2> halves;  // NumPy has no such type: they are saved as float
  halves[0] = 1.5f, halves[1] = -0x1.02p100f;
  save_npy(path, halves);
  BOOST_CHECK_EQUAL((load_npy<Tensor<float, 2>>(path)[1]), -0x1.02p100f);
  BOOST_CHECK_EQUAL((load_npy<Tensor<bfloat16, 2>>(path)[0].bits), halves[0].bits);
  BOOST_CHECK(folder.list() == std::vector<std::string>{"x.npy"});
}

BOOST_AUTO_TEST_CASE(values_become_the_tensors_type) {
  const Folder folder;
  const std::string path = folder / "x.npy";
  const auto put = [&](const std::string& descr, const std::string& values, const std::string& shape) {
    write_text(path, npy_bytes(header(descr, "False", shape), values));
  };
  put("<f8", bytes_of<double>({1.0 / 3, -2}), "(2,)");
  BOOST_CHECK_EQUAL((load_npy<Tensor<float, 2>>(path)[0]), 1.0f / 3);
  BOOST_CHECK_EQUAL((load_npy<Tensor<bfloat16, 2>>(path)[0].bits), bfloat16(1.0f / 3).bits);
  put("<f2", bytes_of<std::uint16_t>({0x3C00, 0xC000, 0x7C00}), "(3,)");
  BOOST_CHECK_EQUAL((load_npy<Tensor<float, 3>>(path)[1]), -2);
  BOOST_CHECK_EQUAL((load_npy<Tensor<double, 3>>(path)[2]), std::numeric_limits<double>::infinity());
  put("|u1", "\xFF\x01", "(2, 1)");
  BOOST_CHECK_EQUAL((load_npy<Tensor<float, dyn, 1>>(path)[0]), 255);
  put("<i4", bytes_of<std::int32_t>({-7}), "()");
  BOOST_CHECK_EQUAL((load_npy<Tensor<std::int32_t>>(path)[0]), -7);
  BOOST_CHECK_EQUAL((load_npy<Tensor<double>>(path)[0]), -7);

  put("<f8", bytes_of<double>({1, 2, 3, 1e300}), "(2, 2)");
  WU_CHECK_FILE_ERROR((load_npy<Tensor<float, dyn, 2>>(path)),
                      "/x.npy\": expected values that F32 can hold, found one beyond its range at [1, 1]");
  WU_CHECK_FILE_ERROR((load_npy<Tensor<std::int32_t, 2, 2>>(path)), "expected a type that can become I32, found F64");
  put("<i8", bytes_of<std::int64_t>({1}), "(1,)");
  WU_CHECK_FILE_ERROR((load_npy<Tensor<std::int32_t, 1>>(path)), "expected a type that can become I32, found I64");
}

BOOST_AUTO_TEST_CASE(fortran_order_of_odd_sizes) {
  const Folder folder;
  const std::string path = folder / "x.npy";
  // x[i, j, k] = 100 i + 10 j + k, extents 3, 1, 5: the first axis lies innermost.
  std::vector<float> stored;
  for (int k = 0; k < 5; ++k)
    for (int i = 0; i < 3; ++i) stored.push_back(static_cast<float>(100 * i + k));
  write_text(path, npy_bytes(header("<f4", "True", "(3, 1, 5)"), bytes_of(stored)));
  const auto x = load_npy<Tensor<float, 3, 1, 5>>(path);
  for (Index i = 0; i < 3; ++i)
    for (Index k = 0; k < 5; ++k) BOOST_CHECK_EQUAL(x[i * 5 + k], static_cast<float>(100 * i + k));
  const auto wide = load_npy<Tensor<double, dyn, dyn, dyn>>(path);
  BOOST_CHECK_EQUAL(wide[7], 102);
  write_text(path, npy_bytes(header("<f8", "True", "(2, 2)"), bytes_of<double>({1, 1e300, 2, 3})));
  WU_CHECK_FILE_ERROR((load_npy<Tensor<float, 2, 2>>(path)), "beyond its range at [1, 0]");
}

BOOST_AUTO_TEST_CASE(a_shape_that_is_not_the_tensors) {
  const std::string path = fixtures + "rows_f4.npy";
  WU_CHECK_FILE_ERROR((load_npy<Tensor<float, dyn, 5>>(path)),
                      "rows_f4.npy\": expected shape [any, 5], found [4, 3]: 5 along axis 1, not 3");
  WU_CHECK_FILE_ERROR((load_npy<Tensor<float, dyn>>(path)), "expected shape [any], found [4, 3]: 1 axis, not 2");
  WU_CHECK_FILE_ERROR((load_npy<Tensor<float, 4, 3, dyn>>(path)), "expected shape [4, 3, any], found [4, 3]: 3 axes, not 2");
}

BOOST_AUTO_TEST_CASE(the_same_header_in_other_spellings) {
  const Folder folder;
  const std::string path = folder / "x.npy", values = bytes_of<float>({1, 2});
  for (const std::string& text : {std::string("{'shape':(2,),'descr':\"<f4\",'fortran_order':False}"),
                                  std::string("  {\"fortran_order\" : False , "
                                              "'shape' : ( 2 , ) , 'descr' : '<f4' ,  }      ")})
    for (const char version : {'\1', '\2', '\3'}) {
      write_text(path, npy_bytes(text, values, version));
      BOOST_CHECK_EQUAL((load_npy<Tensor<float, dyn>>(path)[1]), 2);
    }
}

BOOST_AUTO_TEST_CASE(every_truncation_is_noticed) {
  const Folder folder;
  const std::string path = folder / "x.npy", whole = read_text(fixtures + "rows_f4.npy");
  for (std::size_t n = 0; n < whole.size(); ++n) {
    write_text(path, whole.substr(0, n));
    BOOST_CHECK_MESSAGE(contains(error_of([&] { load_npy<Tensor<float, 4, 3>>(path); }), "/x.npy\""), n);
  }
  write_text(path, whole + '\0');
  WU_CHECK_FILE_ERROR((load_npy<Tensor<float, 4, 3>>(path)), "expected 48 bytes of values for F32 [4, 3], found 49");
}

BOOST_AUTO_TEST_CASE(a_changed_byte_is_an_error_or_an_array) {
  const Folder folder;
  const std::string path = folder / "x.npy", whole = read_text(fixtures + "columns_f8.npy");
  std::size_t refused = 0;
  for (std::size_t at = 0; at < 128; ++at)
    for (const char value : std::string("\0\n '(,09>{}\x80\xFF", 13)) {
      std::string changed = whole;
      changed[at] = value;
      write_text(path, changed);
      try {
        load_npy<Tensor<double, dyn, dyn, dyn>>(path);
      } catch (const FileError&) { ++refused; }
    }
  BOOST_CHECK_GT(refused, 500u);
}

BOOST_AUTO_TEST_CASE(wrong_files) {
  const Folder folder;
  const std::string path = folder / "x.npy", two = bytes_of<float>({1, 2});
  const auto says = [&](const std::string& bytes, const std::string& phrase) {
    write_text(path, bytes);
    WU_CHECK_FILE_ERROR((load_npy<Tensor<float, dyn>>(path)), phrase);
  };
  const auto header_says = [&](const std::string& text, const std::string& phrase) {
    says(npy_bytes(text, two), "/x.npy\": header: expected ");
    says(npy_bytes(text, two), phrase);
  };
  WU_CHECK_FILE_ERROR((load_npy<Tensor<float, dyn>>(folder / "none.npy")), "none.npy");
  WU_CHECK_FILE_ERROR(
      (load_npy<Tensor<float, 4, 3>>(fixtures + "big_endian_f4.npy")),
      "expected little-endian values, found big-endian ones: \">f4\"; NumPy converts them with astype(\"<f4\")");
  says("PK\x03\x04 an archive of arrays", "expected a .npy file, which begins with \\x93NUMPY");
  says(npy_bytes("", "", 4), "expected .npy version 1.0, 2.0 or 3.0, found 4.0");
  says(std::string("\x93NUMPY\x01\x00\xFF\xFF{", 11), "expected a header of 65535 bytes, found 1 in the rest of the file");
  says(std::string("\x93NUMPY\x02\x00\xFF\xFF\xFF\xFF{", 13), "expected a header of 4294967295 bytes, found 1");

  header_says("", "expected a dictionary that begins with {, found the end of the header");
  header_says("{", "expected a key in quotes or }, found the end");
  header_says("{}", "expected the keys descr, fortran_order and shape, found no descr");
  header_says("{'descr", "expected a closing quotation mark, found \"'descr");
  header_says("{'descr' '<f4'}", "expected a colon after the key, found \"'<f4'}");
  header_says("{'descr': '<f4', 'descr': '<f4'}", "expected each key once, found \"descr\" twice");
  header_says("{'descr': '<f4', 'author': 'x'}", "found \"author\"");
  header_says("{'descr': '<f4' 'shape': (2,)}", "expected a comma or } after a value");
  header_says("{'descr': '<f4', 'shape': (2,)}", "found no fortran_order");
  header_says(header("<f4", "true", "(2,)"), "expected True or False for fortran_order, found \"true");
  header_says(header("<f4", "False", "(2,)") + "x", "expected spaces and one line break after the dictionary, found \"x");
  header_says(header("<f4", "False", "(2)"), "expected a comma after the only extent of a tuple");
  header_says(header("<f4", "False", "2"), "expected the shape as a tuple, which begins with (");
  header_says(header("<f4", "False", "(-2,)"), "expected an extent in digits, found \"-2");
  header_says(header("<f4", "False", "(2 3)"), "expected a comma or ) after an extent");
  header_says(header("<f4", "False", "(9223372036854775808,)"), "expected extents below 2^63, found \"9223372036854775808");
  header_says(header("<f4", "False", "(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)"), "expected at most 16 axes");
  header_says(header("|O", "False", "(2,)"), "found \"|O\"");
  header_says(header("<c8", "False", "(1,)"), "found \"<c8\"");
  header_says(header("|f4", "False", "(2,)"), "found \"|f4\"");
  header_says("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2,)}",
              "expected an array of plain numbers, found one of records");

  says(npy_bytes(header("<f4", "False", "(9223372036854775807,)"), two),
       "expected values of fewer than 2^60 bytes, found F32");
  says(npy_bytes(header("<f4", "False", "(4294967296, 4294967296, 0)"), ""), "expected values of fewer than 2^60 bytes");
  says(npy_bytes(header("<f4", "False", "(1000000000000,)"), two),
       "expected 4000000000000 bytes of values for F32 [1000000000000], found 8");
  says(npy_bytes(header("<f4", "False", "(1,)"), two), "expected 4 bytes of values for F32 [1], found 8");
}

BOOST_AUTO_TEST_CASE(a_save_that_fails_leaves_the_old_file) {
  const Folder folder;
  BOOST_CHECK_EXCEPTION(save_npy(folder / "x.npy", View<float, 2>()), Error, [](const Error& e) {
    return contains(e.what(), "expected memory under the view, found a null view");
  });
  WU_CHECK_FILE_ERROR(save_npy((folder / "missing") + "/x.npy", Tensor<float, 2>()), "could not save");
  BOOST_CHECK(folder.list().empty());
}

BOOST_AUTO_TEST_SUITE_END()
