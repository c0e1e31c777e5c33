# ffmpeg for a server: it reads sound, of files and of films, and that is all.
{ pkgs, lib }:
lib.getBin (
  pkgs.ffmpeg-headless.override {
    # Pictures: encoders, decoders of films' pictures, screens and graphics cards.
    withAmf = false;
    withAom = false;
    withAss = false;
    withBluray = false;
    withCudaLLVM = false;
    withCuvid = false;
    withDav1d = false;
    withDrm = false;
    withFontconfig = false;
    withFreetype = false;
    withFribidi = false;
    withHarfbuzz = false;
    withNvcodec = false;
    withNvdec = false;
    withNvenc = false;
    withOpencl = false;
    withOpenjpeg = false;
    withSvtav1 = false;
    withTheora = false;
    withV4l2 = false;
    withVaapi = false;
    withVidStab = false;
    withVpx = false;
    withVulkan = false;
    withWebp = false;
    withX264 = false;
    withX265 = false;
    withXvid = false;
    withZimg = false;
    withZvbi = false;
    # Cards that play or record, and players of tunes of old home computers, which bring all of them along.
    withAlsa = false;
    withOpenmpt = false;
    # The network: what is to be read is given to it.
    withGnutls = false;
    withNetwork = false;
    withRist = false;
    withSrt = false;
    withSsh = false;
    # What it comes with.
    withHtmlDoc = false;
    withManPages = false;
    withPodDoc = false;
    withTxtDoc = false;
    buildFfprobe = false;
  }
)
