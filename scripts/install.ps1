# Installs speakr's program on Windows from its releases, for one user, after its checksum was verified. Again: upgrades.
#
#   .\install.ps1 [-Version 1.2.3] [-Directory FOLDER] [-Uninstall]
#
# FOLDER is %LOCALAPPDATA%\Programs\speakr, and is put on the user's PATH. -Uninstall takes both away; recordings
# stay. Where releases are: SPEAKR_REPOSITORY (owner/name on GitHub), or SPEAKR_RELEASES, a URL with the same files.
[CmdletBinding()]
param(
    [string] $Version = "",
    [string] $Directory = (Join-Path $env:LOCALAPPDATA "Programs\speakr"),
    [switch] $Uninstall
)
Set-StrictMode -Version 3.0
$ErrorActionPreference = "Stop"
# Its bar makes downloads many times slower.
$ProgressPreference = "SilentlyContinue"

# The release workflow writes its repository here.
$Repository = "@REPOSITORY@"
if ($env:SPEAKR_REPOSITORY) { $Repository = $env:SPEAKR_REPOSITORY }

function Stop-With([string] $Message) {
    [Console]::Error.WriteLine("error: $Message")
    exit 1
}

function Set-UserPath([string] $Folder, [bool] $Wanted) {
    $parts = @([Environment]::GetEnvironmentVariable("Path", "User") -split ";" | Where-Object { $_ -and ($_ -ne $Folder) })
    if ($Wanted) { $parts += $Folder }
    [Environment]::SetEnvironmentVariable("Path", ($parts -join ";"), "User")
}

if ($Uninstall) {
    if (-not (Test-Path (Join-Path $Directory "speakr.exe"))) { Stop-With "there is no speakr.exe in $Directory." }
    Remove-Item -Recurse -Force $Directory
    Set-UserPath $Directory $false
    Write-Output "speakr is taken away. Recordings stay in $env:LOCALAPPDATA\speakr: remove that folder to delete them."
    exit 0
}

if (-not [Environment]::Is64BitOperatingSystem -or $env:PROCESSOR_ARCHITECTURE -eq "x86") {
    Stop-With "there are releases for 64-bit Windows on x86-64 only."
}
$Releases = $env:SPEAKR_RELEASES
if (-not $Releases) {
    if ($Repository -notmatch "^[^@/]+/[^/]+$") {
        Stop-With "which repository the releases are of isn't said: set SPEAKR_REPOSITORY=owner/name. (The install.ps1 of a release knows its own.)"
    }
    $Releases = "https://github.com/$Repository/releases"
}
$Version = $Version -replace "^v", ""
$From = if ($Version) { "$Releases/download/v$Version" } else { "$Releases/latest/download" }

# Windows PowerShell 5.1 may know older protocols only.
[Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12
$Work = Join-Path ([IO.Path]::GetTempPath()) ("speakr-" + [Guid]::NewGuid())
New-Item -ItemType Directory $Work | Out-Null
try {
    $Sums = Join-Path $Work "SHA256SUMS"
    try { Invoke-WebRequest -UseBasicParsing "$From/SHA256SUMS" -OutFile $Sums }
    catch { Stop-With "$From/SHA256SUMS can't be downloaded: $($_.Exception.Message)" }
    $Line = Get-Content $Sums | Where-Object { $_ -match "^[0-9a-f]{64}  speakr-[0-9A-Za-z.-]+-x86_64-windows\.zip$" } | Select-Object -First 1
    if (-not $Line) { Stop-With "the release has no archive for x86_64-windows." }
    $Wanted, $Archive = $Line -split "  ", 2
    $Found = $Archive -replace "^speakr-", "" -replace "-x86_64-windows\.zip$", ""
    if ($Version -and ($Found -ne $Version)) { Stop-With "$From has version $Found and not $Version." }

    Write-Output "Downloading speakr $Found ..."
    $File = Join-Path $Work $Archive
    try { Invoke-WebRequest -UseBasicParsing "$From/$Archive" -OutFile $File }
    catch { Stop-With "$From/$Archive can't be downloaded: $($_.Exception.Message)" }
    $Got = (Get-FileHash -Algorithm SHA256 $File).Hash.ToLowerInvariant()
    if ($Got -ne $Wanted) {
        Stop-With "$Archive isn't what SHA256SUMS says: it should be $Wanted and is $Got. The download is broken, or somebody has changed it. Nothing was installed."
    }
    Expand-Archive $File -DestinationPath $Work
    $Folder = Join-Path $Work "speakr-$Found-x86_64-windows"
    $Told = & (Join-Path $Folder "speakr.exe") --version
    if (($LASTEXITCODE -ne 0) -or ($Told -ne "speakr $Found")) { Stop-With "the program in $Archive doesn't start here, or is another: $Told" }

    New-Item -ItemType Directory -Force $Directory | Out-Null
    # A program that runs can't be written over, but renamed.
    $Program = Join-Path $Directory "speakr.exe"
    $Old = "$Program.old"
    if (Test-Path $Old) { Remove-Item -Force $Old -ErrorAction SilentlyContinue }
    if (Test-Path $Program) { Move-Item -Force $Program $Old }
    try { Copy-Item -Recurse -Force (Join-Path $Folder "*") $Directory }
    catch {
        if (Test-Path $Old) { Move-Item -Force $Old $Program }
        Stop-With "$Directory can't be written: $($_.Exception.Message)"
    }
    Remove-Item -Force $Old -ErrorAction SilentlyContinue
    Set-UserPath $Directory $true
    Write-Output "Installed speakr $Found as $Program."
    Write-Output "Open a new terminal, then: winget install ffmpeg, and speakr doctor."
    Write-Output "Completions: Add-Content `$PROFILE '. `"$Directory\completions\speakr.ps1`"'"
}
finally {
    Remove-Item -Recurse -Force $Work -ErrorAction SilentlyContinue
}
