// Files as such: mapped or copied into memory, and saved whole or not at all.
#include <boost/test/unit_test.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "support.hpp"
#include "wu/io/atomic_file.hpp"
#include "wu/io/mapped_file.hpp"

using namespace wu::io;
using wu::test::Folder;
using wu::test::read_text;
using wu::test::write_text;

namespace {

/// While it lives, no file of this process may grow beyond that many bytes: a disk that fills up.
class SmallDisk {
 public:
  explicit SmallDisk(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &old_);
    rlimit small = old_;
    small.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &small);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit old_{};
};

/// While it lives, the process has no special rights over files, where it had them.
class NoPrivileges {
 public:
  NoPrivileges() : user_(::geteuid()) {
    if (user_ == 0) active = ::seteuid(65534) == 0;
  }
  NoPrivileges(const NoPrivileges&) = delete;
  NoPrivileges& operator=(const NoPrivileges&) = delete;
  ~NoPrivileges() {
    if (user_ == 0 && active && ::seteuid(user_) != 0) std::abort();
  }
  bool active = true;

 private:
  uid_t user_;
};

using Names = std::vector<std::string>;

}  // namespace

BOOST_AUTO_TEST_SUITE(files)

BOOST_AUTO_TEST_CASE(a_file_is_read_either_way) {
  const Folder folder;
  const std::string path = folder / "f", text("some \0 bytes", 12);
  write_text(path, text);
  for (const Access access : {Access::map, Access::copy}) {
    MappedFile file(path, access);
    BOOST_TEST(file.text() == text);
    BOOST_TEST(file.bytes().size() == text.size());
    BOOST_TEST(file.path() == path);
    BOOST_TEST(reinterpret_cast<std::uintptr_t>(file.bytes().data()) % 64 == 0u);
    MappedFile moved(std::move(file));
    BOOST_TEST(moved.text() == text);
    MappedFile assigned;
    BOOST_TEST(assigned.bytes().empty());
    assigned = std::move(moved);
    BOOST_TEST(assigned.text() == text);
    MappedFile last(path, access);
    last = std::move(assigned);
    BOOST_TEST(last.text() == text);
    // NOLINTNEXTLINE(bugprone-use-after-move): what was moved from holds nothing, also where there was something before
    BOOST_TEST(assigned.bytes().empty());
  }
}

BOOST_AUTO_TEST_CASE(a_copy_does_not_change_with_the_file) {
  const Folder folder;
  const std::string path = folder / "f";
  write_text(path, "before");
  const MappedFile file(path, Access::copy);
  write_text(path, "x");  // in place: a mapping would now end the program beyond the first page
  BOOST_TEST(file.text() == "before");
}

BOOST_AUTO_TEST_CASE(what_cannot_be_opened_is_said) {
  const Folder folder;
  WU_CHECK_FILE_ERROR(MappedFile(folder / "none"), "/none\": No such file or directory");
  WU_CHECK_FILE_ERROR(MappedFile(folder / "no" + "/ne"), "No such file or directory");
  WU_CHECK_FILE_ERROR(MappedFile(folder.path()), "expected a file, found a folder");
  WU_CHECK_FILE_ERROR(MappedFile(""), "could not open \"\": No such file or directory");
  WU_CHECK_FILE_ERROR(MappedFile(std::string("a\0b", 3)),
                      "could not open \"a\\u{0000}b\": a path cannot contain a NUL byte");
  write_text(folder / "empty", "");
  WU_CHECK_FILE_ERROR(MappedFile(folder / "empty"), "the file is empty");
  WU_CHECK_FILE_ERROR(MappedFile("/dev/zero"), "expected a regular file, found a device, pipe or socket");
  BOOST_REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  WU_CHECK_FILE_ERROR(MappedFile(folder / "pipe"), "expected a regular file");

  write_text(folder / "secret", "s");
  std::filesystem::permissions(folder / "secret", std::filesystem::perms::none);
  const NoPrivileges now;
  if (now.active) {
    const std::string what = wu::test::error_of([&] { MappedFile(folder / "secret"); });
    BOOST_TEST(wu::test::contains(what, "Permission denied"), what);
  } else {
    BOOST_TEST_MESSAGE("not tested: a process with all rights can open every file");
  }
}

BOOST_AUTO_TEST_CASE(a_file_is_saved) {
  const Folder folder;
  const std::string path = folder / "f";
  write_file_atomically(path, "one");
  BOOST_TEST(read_text(path) == "one");
  const std::string a = "two", b, c = " and three";
  const std::vector<std::span<const std::byte>> pieces{wu::test::as_bytes(a), wu::test::as_bytes(b), wu::test::as_bytes(c)};
  write_file_atomically(path, pieces);
  BOOST_TEST(read_text(path) == "two and three");
  write_file_atomically(path, wu::test::as_bytes(a));
  BOOST_TEST(read_text(path) == "two");
  write_file_atomically(path, "");
  BOOST_TEST(std::filesystem::file_size(path) == 0u);
  BOOST_TEST(folder.list() == Names{"f"});
}

BOOST_AUTO_TEST_CASE(a_name_without_a_folder_is_saved_here) {
  const Folder folder;
  const auto here = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  const std::string what = wu::test::error_of([] { write_file_atomically("f", "text"); });
  std::filesystem::current_path(here);
  BOOST_TEST(what == "");
  BOOST_TEST(read_text(folder / "f") == "text");
}

BOOST_AUTO_TEST_CASE(the_longest_name_is_saved) {
  const Folder folder;
  const std::string name(255, 'n');
  write_file_atomically(folder / name, "text");
  BOOST_TEST(folder.list() == Names{name});
  WU_CHECK_FILE_ERROR(write_file_atomically(folder / (name + "n"), "text"), "File name too long");
  BOOST_TEST(folder.list() == Names{name});
}

BOOST_AUTO_TEST_CASE(without_commit_nothing_happens) {
  const Folder folder;
  const std::string path = folder / "f";
  write_text(path, "before");
  {
    AtomicFile file(path);
    file.write("after");
    BOOST_TEST(folder.list().size() == 2u);
    BOOST_TEST(read_text(path) == "before");
  }
  BOOST_TEST(read_text(path) == "before");
  BOOST_TEST(folder.list() == Names{"f"});
  try {
    AtomicFile file(folder / "new");
    file.write("after");
    throw 1;
  } catch (int) {  // the file is not finished
  }
  BOOST_TEST(folder.list() == Names{"f"});
}

BOOST_AUTO_TEST_CASE(after_commit_there_is_nothing_more_to_do) {
  const Folder folder;
  AtomicFile file(folder / "f");
  file.write("text");
  file.commit();
  WU_CHECK_FILE_ERROR(file.write("more"), "it has been saved, or a write failed before");
  WU_CHECK_FILE_ERROR(file.commit(), "it has been saved, or a write failed before");
  BOOST_TEST(read_text(folder / "f") == "text");
}

BOOST_AUTO_TEST_CASE(two_savers_do_not_meet) {
  const Folder folder;
  AtomicFile first(folder / "f"), second(folder / "f");
  first.write("first");
  second.write("second");
  second.commit();
  first.commit();
  BOOST_TEST(read_text(folder / "f") == "first");
  BOOST_TEST(folder.list() == Names{"f"});
}

BOOST_AUTO_TEST_CASE(permissions_stay) {
  using std::filesystem::perms;
  const Folder folder;
  const std::string path = folder / "f";
  const mode_t mask = ::umask(027);
  write_file_atomically(path, "one");
  BOOST_TEST((std::filesystem::status(path).permissions() == (perms::owner_read | perms::owner_write | perms::group_read)));
  const perms odd = perms::owner_read | perms::owner_write | perms::others_read;
  std::filesystem::permissions(path, odd);
  write_file_atomically(path, "two");
  ::umask(mask);
  BOOST_TEST((std::filesystem::status(path).permissions() == odd));
  std::filesystem::permissions(path, perms::owner_read);
  WU_CHECK_FILE_ERROR(write_file_atomically(path, "three"), "the file that is there is read-only");
  BOOST_TEST(read_text(path) == "two");
  BOOST_TEST(folder.list() == Names{"f"});
}

BOOST_AUTO_TEST_CASE(a_mapped_file_keeps_its_bytes_when_it_is_replaced) {
  const Folder folder;
  const std::string path = folder / "f";
  write_text(path, "before");
  const MappedFile file(path);
  write_file_atomically(path, "x");
  BOOST_TEST(file.text() == "before");
}

BOOST_AUTO_TEST_CASE(a_link_is_replaced_not_followed) {
  const Folder folder;
  write_text(folder / "target", "before");
  std::filesystem::create_symlink("target", folder / "link");
  write_file_atomically(folder / "link", "after");
  BOOST_TEST(read_text(folder / "target") == "before");
  BOOST_TEST(read_text(folder / "link") == "after");
  BOOST_TEST(!std::filesystem::is_symlink(folder / "link"));
}

BOOST_AUTO_TEST_CASE(where_nothing_can_be_saved) {
  const Folder folder;
  WU_CHECK_FILE_ERROR(write_file_atomically(folder / "no/f", "x"), "cannot be opened: No such file or directory");
  WU_CHECK_FILE_ERROR(write_file_atomically(folder / "no/f", "x"),
                      "could not save \"" + folder.path() + "/no/f\": the folder");
  std::filesystem::create_directory(folder / "sub");
  WU_CHECK_FILE_ERROR(write_file_atomically(folder / "sub", "x"), "expected a file, found a folder of that name");
  WU_CHECK_FILE_ERROR(write_file_atomically(folder / "sub/", "x"), "expected the name of a file, found a folder");
  WU_CHECK_FILE_ERROR(write_file_atomically(folder / "sub/..", "x"), "expected the name of a file, found a folder");
  WU_CHECK_FILE_ERROR(write_file_atomically("", "x"), "expected the name of a file, found a folder");
  WU_CHECK_FILE_ERROR(write_file_atomically(std::string("a\0b", 3), "x"), "a path cannot contain a NUL byte");
  write_text(folder / "file", "");
  WU_CHECK_FILE_ERROR(write_file_atomically(folder / "file/f", "x"), "cannot be opened: Not a directory");
  WU_CHECK_FILE_ERROR(write_file_atomically("/dev/full", "x"), "expected a regular file, found a device, pipe or socket");
  std::filesystem::create_symlink("/dev/full", folder / "link");
  WU_CHECK_FILE_ERROR(write_file_atomically(folder / "link", "x"), "expected a regular file");
  BOOST_TEST((folder.list() == Names{"file", "link", "sub"}));
  BOOST_TEST(std::filesystem::is_empty(folder / "sub"));
}

BOOST_AUTO_TEST_CASE(a_read_only_folder) {
  using std::filesystem::perms;
  const Folder folder;
  write_text(folder / "f", "before");
  std::filesystem::permissions(folder.path(), perms(0555));
  std::string what;
  bool tried = false;
  {
    const NoPrivileges now;
    tried = now.active;
    if (tried) what = wu::test::error_of([&] { write_file_atomically(folder / "f", "after"); });
  }
  std::filesystem::permissions(folder.path(), perms::owner_all);
  if (tried) BOOST_TEST(wu::test::contains(what, "no file can be created in that folder: Permission denied"), what);
  else BOOST_TEST_MESSAGE("not tested: a process with all rights can write everywhere");
  BOOST_TEST(read_text(folder / "f") == "before");
  BOOST_TEST(folder.list() == Names{"f"});
}

BOOST_AUTO_TEST_CASE(a_full_disk) {
  const Folder folder;
  const std::string path = folder / "f", large(100'000, 'x');
  write_text(path, "before");
  std::string what, again;
  {
    AtomicFile file(path);
    const SmallDisk disk(4096);
    what = wu::test::error_of([&] { file.write(large); });
    again = wu::test::error_of([&] { file.commit(); });
  }
  BOOST_TEST(wu::test::contains(what, "could not save \"" + path + "\": File too large"), what);
  BOOST_TEST(wu::test::contains(again, "a write failed before"), again);
  BOOST_TEST(read_text(path) == "before");
  BOOST_TEST(folder.list() == Names{"f"});
}

BOOST_AUTO_TEST_SUITE_END()
