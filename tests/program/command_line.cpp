// What is typed wrongly is said before anything is read: exit code 2. Help is no error.
#include <boost/test/unit_test.hpp>

#include <algorithm>

#include "program.hpp"
#include "wu/core/version.hpp"

BOOST_AUTO_TEST_SUITE(command_line)

BOOST_AUTO_TEST_CASE(help_and_version_go_to_the_standard_output) {
  for (const Arguments& arguments :
       {Arguments{"--help"}, {"train", "--help"}, {"edit", "-h"}, {"report", "--help"}, {"--version"}}) {
    const Ended ended = wu_edit(arguments);
    BOOST_TEST_CONTEXT(arguments.front()) {
      BOOST_TEST(ended.code == 0);
      BOOST_TEST(ended.err == "");
      const bool version = arguments.front() == "--version";
      BOOST_TEST((ended.out.find(version ? wu::version_text : "--help") != std::string::npos), ended.out);
    }
  }
  const Ended all = wu_edit({"--help"});
  for (const char* command : {"pretrain", "train", "edit", "report"})
    BOOST_TEST((all.out.find(command) != std::string::npos), command << " is not in: " << all.out);
}

BOOST_AUTO_TEST_CASE(what_is_missing_or_unknown_is_named) {
  check_refused(wu_edit({}), {"pretrain, train, edit or report", "--help"}, 2);
  check_refused(wu_edit({"paint"}), {"paint"}, 2);
  check_refused(wu_edit({"--colour"}), {"--colour"}, 2);
  check_refused(wu_edit({"train", "--photo", "folder"}), {"--photo"}, 2);
  check_refused(wu_edit({"train", "--model"}), {"--model"}, 2);
  check_refused(wu_edit({"edit", "--model", "m", "--image", "i.png", "--out", "o.png"}), {"--instruction"}, 2);
  check_refused(wu_edit({"report", "report.html"}), {"report.html"}, 2);
}

BOOST_AUTO_TEST_CASE(a_number_that_makes_no_sense_is_refused) {
  // Should one be taken after all: this folder is missing, so that nothing is trained.
  const auto train = [](const char* option, const char* value) {
    return wu_edit({"train", "--photos", "/dev/null/none", option, value});
  };
  for (const char* value : {"-3", "1.5", "many", ""}) check_refused(train("--steps", value), {"--steps", value}, 2);
  for (const char* value : {"0", "-1e-3", "nan", "inf"}) check_refused(train("--rate", value), {"--rate", value}, 2);
  for (const char* value : {"-1", "18446744073709551616"}) check_refused(train("--seed", value), {"--seed", value}, 2);
  for (const char* option : {"--requests", "--crops", "--minutes"}) check_refused(train(option, "0"), {option, "0"}, 2);
  check_refused(train("--threads", "-1"), {"--threads", "-1"}, 2);
  check_refused(wu_edit({"report", "--side", "63"}), {"--side", "63", "64"}, 2);
  check_refused(wu_edit({"pretrain", "--path", "river"}), {"--path", "river", "bridge"}, 2);
}

BOOST_AUTO_TEST_CASE(a_device_is_cpu_or_cuda) {
  const auto train = [](const char* device) {
    return wu_edit({"train", "--backbone", backbone_file.string(), "--photos", "/dev/null/none", "--device", device});
  };
  check_refused(train("gpu"), {"--device", "gpu", "cpu", "cuda"}, 2);
  check_refused(wu_edit({"pretrain", "--device", "cuda"}), {"--device"}, 2);
  check_refused(train("cpu"), {"/dev/null/none"}, 1);
  // Where there is a GPU it goes on as on the processor; elsewhere it says what is missing.
  const Ended ended = train("cuda");
  BOOST_TEST(ended.code == 1);
  BOOST_TEST((ended.err.find("/dev/null/none") != std::string::npos || ended.err.find("cuda") != std::string::npos),
             ended.err);
  BOOST_TEST(std::ranges::count(ended.err, '\n') == 1, ended.err);
}

BOOST_AUTO_TEST_SUITE_END()
