// What cannot work: each is answered by one sentence that names the file, by an exit code that is not zero, and by nothing
// else. Every test compares all files before and after.
#include <boost/test/unit_test.hpp>

#include <unistd.h>  // geteuid

#include <cstdint>

#include "edit/image.hpp"
#include "program.hpp"

BOOST_AUTO_TEST_SUITE(bad_input)

BOOST_AUTO_TEST_CASE(a_picture_that_cannot_be_read_is_named_and_the_old_result_stays) {
  const Scratch scratch;
  const fs::path jpeg = scratch / "whole.jpg", out = scratch / "out.png";
  edit::save_image(jpeg, edit::load_image(Pictures::get().one));
  const std::string png_bytes = bytes_of(Pictures::get().one), jpeg_bytes = bytes_of(jpeg);
  write(scratch / "empty.png", "");
  write(scratch / "begun.png", png_bytes.substr(0, 20));
  write(scratch / "half.png", png_bytes.substr(0, png_bytes.size() / 2));
  write(scratch / "nearly.png", png_bytes.substr(0, png_bytes.size() - 1));
  write(scratch / "half.jpg", jpeg_bytes.substr(0, jpeg_bytes.size() / 2));
  write(scratch / "words.png", "This is no picture.\n");
  write(scratch / "film.gif", "GIF89a and so on");
  write(out, "an earlier result");
  const auto before = contents(scratch.folder);

  const auto edit = [&](const fs::path& picture) { return wu_edit(with(edit_arguments(out), "--image", picture)); };
  check_refused(edit(scratch / "missing.png"), {"missing.png", "there is no such file"});
  check_refused(edit(scratch / "empty.png"), {"empty.png", "it is empty"});
  for (const char* name : {"begun.png", "half.png", "nearly.png"})
    check_refused(edit(scratch / name), {name, "a damaged or incomplete PNG file"});
  check_refused(edit(scratch / "half.jpg"), {"half.jpg", "a damaged or incomplete JPEG file"});
  check_refused(edit(scratch / "words.png"), {"words.png", "neither a PNG nor a JPEG file"});
  check_refused(edit(scratch / "film.gif"), {"film.gif", "a GIF file; only PNG and JPEG are read"});
  check_refused(edit(scratch.folder), {scratch.folder.string(), "it is a folder, not a file"});
  BOOST_TEST((contents(scratch.folder) == before));
}

BOOST_AUTO_TEST_CASE(a_broken_picture_among_good_ones_is_named) {
  const Scratch scratch;
  const fs::path folder = scratch / "photos";
  fs::copy(Pictures::get().photos, folder);
  write(folder / "1.png", bytes_of(folder / "1.png").substr(0, 1000));
  const auto before = contents(scratch.folder);
  check_refused(wu_edit(with(train_arguments(scratch / "model"), "--photos", folder)), {"1.png", "damaged or incomplete"});
  check_refused(wu_edit(with(report_arguments(scratch / "report"), "--held-out", folder)),
                {"1.png", "damaged or incomplete"});
  BOOST_TEST((contents(scratch.folder) == before));
}

BOOST_AUTO_TEST_CASE(an_instruction_that_says_nothing_or_is_no_text_is_refused) {
  const Scratch scratch;
  const fs::path out = scratch / "out.png";
  write(out, "an earlier result");
  const auto edit = [&](const std::string& words) { return wu_edit(with(edit_arguments(out), "--instruction", words)); };
  check_refused(edit(""), {"the instruction is empty"});
  check_refused(edit(" \t"), {"the instruction holds no word"});
  check_refused(edit("?!"), {"the instruction holds no word"});
  // A byte that never occurs, a slash in two bytes, half a character, and a surrogate.
  check_refused(edit("blur\xff"), {"the instruction is not UTF-8 text: byte 5 of 5"});
  check_refused(edit("blur \xc0\xaf"), {"the instruction is not UTF-8 text: byte 6 of 7"});
  check_refused(edit("\xe6\xa8\xa1\xe7\xb3"), {"the instruction is not UTF-8 text: byte 4 of 5"});
  check_refused(edit("\xed\xa0\x80"), {"the instruction is not UTF-8 text: byte 1 of 3"});
  BOOST_TEST(bytes_of(out) == "an earlier result");
  BOOST_TEST(scratch.entries() == 1);
}

BOOST_AUTO_TEST_CASE(a_folder_without_pictures_is_named) {
  const Scratch scratch;
  const fs::path empty = scratch / "empty", others = scratch / "others", file = scratch / "file", model = scratch / "model";
  fs::create_directory(empty);
  fs::create_directory(others);
  write(others / "notes.txt", "Pictures are elsewhere.\n");
  write(others / ".hidden.png", bytes_of(Pictures::get().one));
  write(file, "");
  const auto before = contents(scratch.folder);

  for (const fs::path& folder : {empty, others}) {
    const std::string name = folder.string();
    check_refused(wu_edit(with(train_arguments(model), "--photos", folder)), {name, "it holds no .png, .jpg or .jpeg file"});
    check_refused(wu_edit(with(report_arguments(scratch / "report"), "--held-out", folder)),
                  {name, "it holds no .png, .jpg or .jpeg file"});
  }
  check_refused(wu_edit(with(train_arguments(model), "--photos", scratch / "missing")),
                {"missing", "there is no such folder"});
  check_refused(wu_edit(with(train_arguments(model), "--photos", file)), {file.string(), "it is not a folder"});
  BOOST_TEST((contents(scratch.folder) == before));
}

BOOST_AUTO_TEST_CASE(a_single_picture_is_too_few_to_train_on) {
  const Scratch scratch;
  const fs::path single = scratch / "single";
  fs::create_directory(single);
  fs::copy_file(Pictures::get().one, single / "one.png");
  check_refused(wu_edit(with(train_arguments(scratch / "model"), "--photos", single)),
                {single.string(), "expected at least two pictures"});
  BOOST_TEST(scratch.entries() == 1);  // the folder given
}

BOOST_AUTO_TEST_CASE(a_checkpoint_of_another_shape_is_refused) {
  const Scratch scratch;
  const fs::path model = scratch / "model", backbone = model / "backbone.safetensors",
                 generator = model / "generator.safetensors";
  fs::copy(Trained::get().model, model);
  const std::string good_backbone = bytes_of(backbone), good_generator = bytes_of(generator);
  const fs::path out = scratch / "out.png", report = scratch / "report";
  const auto edit = [&] { return wu_edit(with(edit_arguments(out), "--model", model)); };

  const std::string in_generator = save_of_another_shape(Trained::get().model / "generator.safetensors", generator);
  check_refused(edit(), {generator.string(), in_generator, "expected shape [", "], found ["});
  check_refused(wu_edit(with(report_arguments(report), "--model", model)),
                {generator.string(), in_generator, "expected shape [", "], found ["});
  write(generator, good_generator);

  const std::string in_backbone = save_of_another_shape(backbone_file, backbone);
  check_refused(edit(), {backbone.string(), in_backbone, "expected shape [", "], found ["});
  check_refused(wu_edit(with(train_arguments(scratch / "new"), "--backbone", backbone)),
                {backbone.string(), in_backbone, "expected shape [", "], found ["});

  // A file of another program, or the wrong one of two: its tensors have other names.
  fs::copy_file(generator, backbone, fs::copy_options::overwrite_existing);
  check_refused(edit(), {backbone.string(), "expected the tensor", "found none of that name"});
  write(backbone, good_backbone);

  // One tensor too many is no checkpoint of this program either.
  save_changed(Trained::get().model / "generator.safetensors", generator, [](auto& tensors, auto&) {
    tensors.push_back(tensors.front());
    tensors.back().name = "generator.unknown";
  });
  check_refused(edit(), {generator.string(), "generator.unknown"});
  write(generator, good_generator);

  BOOST_TEST(!fs::exists(out));
  BOOST_TEST(!fs::exists(report));
  BOOST_TEST(!fs::exists(scratch / "new"));
  BOOST_TEST(scratch.entries() == 1);
}

BOOST_AUTO_TEST_CASE(a_damaged_checkpoint_is_refused) {
  const Scratch scratch;
  const fs::path model = scratch / "model", generator = model / "generator.safetensors", out = scratch / "out.png";
  fs::copy(Trained::get().model, model);
  const std::string whole = bytes_of(generator);
  const auto edit = [&] { return wu_edit(with(edit_arguments(out), "--model", model)); };

  for (const std::size_t left : {std::size_t{0}, std::size_t{5}, std::size_t{400}, whole.size() / 2, whole.size() - 1}) {
    write(generator, whole.substr(0, left));
    check_refused(edit(), {generator.string()});
  }
  write(generator, bytes_of(Pictures::get().one));
  check_refused(edit(), {generator.string(), "is this a safetensors file?"});
  fs::remove(generator);
  check_refused(edit(), {generator.string(), "No such file or directory"});
  fs::remove_all(model);
  check_refused(edit(), {model.string(), "No such file or directory"});
  BOOST_TEST(scratch.entries() == 0);
}

BOOST_AUTO_TEST_CASE(a_generator_beside_a_backbone_that_it_was_not_trained_on_is_refused) {
  const Scratch scratch;
  const fs::path model = scratch / "model", out = scratch / "out.png";
  fs::copy(Trained::get().model, model);
  save_with_another_value(backbone_file, model / "backbone.safetensors");
  const auto before = contents(scratch.folder);
  for (const Arguments& arguments : {edit_arguments(out), report_arguments(scratch / "report")})
    check_refused(wu_edit(with(arguments, "--model", model)),
                  {(model / "generator.safetensors").string(), "was trained on another backbone"});
  BOOST_TEST((contents(scratch.folder) == before));
}

// Below a file nobody can write, not even root; a folder in the place of a file cannot be replaced either.
BOOST_AUTO_TEST_CASE(a_result_that_cannot_be_written_is_named) {
  const Scratch scratch;
  const fs::path file = scratch / "file", folder = scratch / "folder.png", model = scratch / "model";
  write(file, "nothing may change this");
  fs::create_directory(folder);
  fs::create_directories(model / "generator.safetensors");
  const auto before = contents(scratch.folder);

  check_gave_up(wu_edit(edit_arguments(file / "out.png")), {(file / "out.png").string(), "Not a directory"});
  check_gave_up(wu_edit(edit_arguments(scratch / "none/out.png")), {"none/out.png", "No such file or directory"});
  check_gave_up(wu_edit(edit_arguments(folder)), {folder.string(), "found a folder of that name"});
  check_refused(wu_edit(edit_arguments(scratch / "out.bmp")), {"out.bmp", "ends in .png, .jpg or .jpeg"});
  // These take long, so they are refused before the work, not after it.
  check_refused(wu_edit(train_arguments(file / "model")), {(file / "model").string(), "Not a directory"});
  check_refused(wu_edit(train_arguments(file)), {file.string(), "Not a directory"});
  check_refused(wu_edit(train_arguments(model)),
                {(model / "generator.safetensors").string(), "found a folder of that name"});
  check_refused(wu_edit(report_arguments(file / "report")), {(file / "report").string(), "Not a directory"});
  const auto pretrain = [](const fs::path& out) {
    return wu_edit({"pretrain", "--photos", Pictures::get().photos, "--out", out, "--steps", "1", "--batch", "1"});
  };
  check_refused(pretrain(file / "backbone.safetensors"), {file.string(), "Not a directory"});
  check_refused(pretrain(folder), {folder.string(), "found a folder of that name"});
  BOOST_TEST((contents(scratch.folder) == before));
}

BOOST_AUTO_TEST_CASE(a_read_only_folder_is_named) {
  if (::geteuid() == 0) {
    BOOST_TEST_MESSAGE("not tested: for root no folder is read-only");
    return;
  }
  const Scratch scratch;
  const fs::path folder = scratch / "folder";
  fs::create_directory(folder);
  write(folder / "out.png", "an earlier result");
  fs::permissions(folder, fs::perms::owner_read | fs::perms::owner_exec);
  const auto before = contents(scratch.folder);
  check_gave_up(wu_edit(edit_arguments(folder / "out.png")), {(folder / "out.png").string(), "Permission denied"});
  check_refused(wu_edit(train_arguments(folder)), {folder.string(), "Permission denied"});
  BOOST_TEST((contents(scratch.folder) == before));
  fs::permissions(folder, fs::perms::owner_all);
}

BOOST_AUTO_TEST_CASE(a_full_disk_leaves_the_old_picture) {
  const Scratch scratch;
  for (const char* name : {"out.png", "out.jpg"}) {
    write(scratch / name, "an earlier result");
    check_gave_up(wu_edit(edit_arguments(scratch / name), /*largest_file*/ 512),
                  {(scratch / name).string(), "File too large"});
    BOOST_TEST(bytes_of(scratch / name) == "an earlier result");
  }
  BOOST_TEST(scratch.entries() == 2);
}

BOOST_AUTO_TEST_SUITE_END()
